-- Throws a dead letter away. Its mark stays, so that a resend is a duplicate; its ledger stays as long as that of a finished event.
-- uses: acts clock
-- KEYS: dead, effects:EVENT, acts. ARGV: id in dead, event, ms to keep acts, by, reason, ms to keep the ledger.
-- Its id; '': it is not among the dead letters any more.
local letter = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not letter then
    return ''
end
redis.call('XDEL', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
write_down(KEYS[3], tonumber(ARGV[3]), now_ms(),
    { act = 'discard', by = ARGV[4], reason = ARGV[5], dead = ARGV[1] }, letter[2])
return ARGV[1]
