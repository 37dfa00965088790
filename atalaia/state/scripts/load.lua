-- KEYS fence, panes, outbox: a unit as it is at one moment.
local stored = redis.call('HMGET', KEYS[1], 'fence', 'nonce', 'metadata', 'incarnation', 'torn')
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not stored[1] then
    return {run_id, false}
end
return {
    run_id, stored[1], stored[2], stored[3], stored[4], stored[5],
    redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3]),
}
