-- Tries every command that the scripts need, on keys of its own, which it takes away again.
-- KEYS: a scratch key for a stream, a zset, a hash and a string. ARGV: -
-- What Redis refuses: "COMMAND: its words; ..."; '': nothing.
local faults = {}
local stream, zset, hash, text = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local function try(...)
    local answer = redis.pcall(...)
    if type(answer) == 'table' and answer.err then
        faults[#faults + 1] = ... .. ': ' .. answer.err
    end
    return answer
end

try('DEL', stream, zset, hash, text)
try('TIME')
try('SET', text, '1', 'NX', 'PX', 60000)
try('SET', text, '2', 'XX', 'KEEPTTL')
try('GET', text)
try('EXISTS', text)
try('PTTL', text)
try('PERSIST', text)
try('PEXPIRE', text, 60000)
try('XGROUP', 'CREATE', stream, 'group', '0', 'MKSTREAM')
try('PEXPIRE', stream, 60000)
local id = try('XADD', stream, 'MINID', '~', '1', '*', 'a', '1')
try('XLEN', stream)
try('XRANGE', stream, '-', '+', 'COUNT', 1)
try('XREVRANGE', stream, '+', '-', 'COUNT', 1)
try('XREADGROUP', 'GROUP', 'group', 'me', 'COUNT', 1, 'STREAMS', stream, '>')
try('XPENDING', stream, 'group', '-', '+', 1, 'me')
if type(id) == 'string' then
    try('XCLAIM', stream, 'group', 'me', 0, id, 'JUSTID')
    try('XACK', stream, 'group', id)
    try('XDEL', stream, id)
end
try('XTRIM', stream, 'MINID', '1')
try('XINFO', 'GROUPS', stream)
try('XINFO', 'CONSUMERS', stream, 'group')
try('XGROUP', 'DELCONSUMER', stream, 'group', 'me')
try('ZADD', zset, 1, 'a')
try('PEXPIRE', zset, 60000)
try('ZADD', zset, 2, 'b')
try('ZCARD', zset)
try('ZCOUNT', zset, '-inf', '+inf')
try('ZRANGE', zset, 0, 0, 'WITHSCORES')
try('ZRANGEBYSCORE', zset, '-inf', '+inf', 'LIMIT', 0, 1)
try('ZRANK', zset, 'a')
try('ZSCORE', zset, 'a')
try('ZREM', zset, 'a')
try('ZPOPMIN', zset)
try('HSET', hash, 'a', '1')
try('PEXPIRE', hash, 60000)
try('HSETNX', hash, 'a', '1')
try('HINCRBY', hash, 'a', 1)
try('HGET', hash, 'a')
try('HMGET', hash, 'a')
try('HGETALL', hash)
try('HKEYS', hash)
try('HEXISTS', hash, 'a')
try('HDEL', hash, 'a')
try('DEL', stream, zset, hash, text)
return table.concat(faults, '; ')
