-- KEYS fence, panes, outbox; ARGV expected fence ('' where nothing is stored), expected nonce
local stored = redis.call('HMGET', KEYS[1], 'fence', 'nonce')
if (stored[1] or '') ~= ARGV[1] or (stored[2] or '') ~= ARGV[2] then
    return 0
end
-- The fence goes first: without it the rest is nothing.
redis.call('DEL', KEYS[1])
redis.call('UNLINK', KEYS[2], KEYS[3])
return 1
