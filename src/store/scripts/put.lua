-- Takes events in: each once, and with its mark.
-- KEYS: events, then seen:EVENT of each. ARGV: window ms, then of each: event, type, session, account, livemode, created,
-- api_version, received_ms, payload.
-- A list, of each: 1: queued. 0: it was there before. An error: refused.
-- The mark is set and asked for in one command. Should the entry be refused then (there is no stream at its key), the mark goes
-- again: an event must never be marked without being queued. No error ends the script: what became of the others must be told.
local KEYS, ARGV, call = KEYS, ARGV, redis.pcall
local answers = {}
for number = 1, #KEYS - 1 do
    local mark, at = KEYS[number + 1], 9 * number - 7
    local received = ARGV[at + 7]
    local answer = call('SET', mark, received, 'NX', 'PX', ARGV[1])
    if not answer then
        answer = 0
    elseif not answer.err then
        answer = call('XADD', KEYS[1], '*', 'event', ARGV[at], 'type', ARGV[at + 1], 'session', ARGV[at + 2], 'account', ARGV[at + 3],
            'livemode', ARGV[at + 4], 'created', ARGV[at + 5], 'api_version', ARGV[at + 6], 'received_ms', received,
            'payload', ARGV[at + 8])
        if type(answer) == 'table' then -- an error
            call('DEL', mark)
        else
            answer = 1
        end
    end
    answers[number] = answer
end
return answers
