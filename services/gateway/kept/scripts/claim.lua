-- What became of an Idempotency-Key that was found claimed, and the ticket it is for; 1 where it is free again, and
-- this request's now.
-- KEYS claim, accepted; ARGV fingerprint, ticket, lease ms, expiry ms, prefix of answers.
-- A claim says: fingerprint, the ticket that is answered, the ticket of who claimed it last, its lease and expiry.
local claim = ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4]
if redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. claim, 'NX', 'PX', ARGV[4]) then
  return 1
end
local fingerprint, ticket, claimant, lease_ms, expiry_ms =
  string.match(redis.call('GET', KEYS[1]), '^(%S+) (%S+) (%S+) (%d+) (%d+)$')
if fingerprint ~= ARGV[1] then
  return {'reused', ticket}
end
local answer = redis.call('GET', ARGV[5] .. ticket)
if answer then
  return {'answered', ticket, answer}
end
if claimant == ARGV[2] then
  return {'claimed', ticket} -- sent twice, as its connection broke
end
if redis.call('GET', KEYS[2]) == ticket then
  return {'accepted', ticket}
end
if expiry_ms - redis.call('PTTL', KEYS[1]) < tonumber(lease_ms) then
  return {'leased', ticket}
end
-- Whoever claimed it is gone, and nothing says that Kafka took its request: the next one takes its place.
redis.call('SET', KEYS[1], fingerprint .. ' ' .. ticket .. ' ' .. claim, 'PX', ARGV[4])
return {'claimed', ticket}
