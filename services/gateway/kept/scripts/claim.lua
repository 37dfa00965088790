-- Who takes an Idempotency-Key: 1 where this request does, else what is known of the one that did, and its ticket.
-- KEYS claim, accepted; ARGV fingerprint, ticket, lease ms, expiry ms, prefix of answers.
if redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2] .. ARGV[3], 'NX', 'PX', ARGV[4]) then
  return 1
end
local held = redis.call('GET', KEYS[1])
local ticket = string.sub(held, #ARGV[1] + 1, #ARGV[1] + #ARGV[2])
if string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then
  return {'reused', ticket}
end
local answer = redis.call('GET', ARGV[5] .. ticket)
if answer then
  return {'answered', ticket, answer}
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {'accepted', ticket}
end
local age_ms = ARGV[4] - redis.call('PTTL', KEYS[1])
if age_ms < tonumber(string.sub(held, #ARGV[1] + #ARGV[2] + 1)) then
  return {'leased', ticket}
end
-- Whoever claimed it is gone, and nothing says that Kafka took its request: the next one takes its place.
redis.call('SET', KEYS[1], ARGV[1] .. ticket .. ARGV[3], 'PX', ARGV[4])
return {'claimed', ticket}
