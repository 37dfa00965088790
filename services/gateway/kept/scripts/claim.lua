-- What became of an Idempotency-Key that was found claimed, and the ticket it is for; 1 where it is free again, and
-- this request's now.
-- KEYS claim, accepted; ARGV the claim this request makes, prefix of answers.
-- A claim says: fingerprint, the ticket that is answered, the ticket of who claimed it last, its lease and expiry in ms.
local form = '^(%S+) (%S+) (%S+) (%d+) (%d+)$'
local own_fingerprint, own_ticket, _, own_lease_ms, own_expiry_ms = string.match(ARGV[1], form)
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', own_expiry_ms) then
  return 1
end
local fingerprint, ticket, claimant, lease_ms, expiry_ms = string.match(redis.call('GET', KEYS[1]), form)
if fingerprint ~= own_fingerprint then
  return {'reused', ticket}
end
local answer = redis.call('GET', ARGV[2] .. ticket)
if answer then
  return {'answered', ticket, answer}
end
if claimant == own_ticket then
  return {'claimed', ticket} -- sent twice, as its connection broke
end
if redis.call('GET', KEYS[2]) == ticket then
  return {'accepted', ticket}
end
if expiry_ms - redis.call('PTTL', KEYS[1]) < tonumber(lease_ms) then
  return {'leased', ticket}
end
-- Whoever claimed it is gone, and nothing says that Kafka took its request: the next one takes its place.
local taken = table.concat({fingerprint, ticket, own_ticket, own_lease_ms, own_expiry_ms}, ' ')
redis.call('SET', KEYS[1], taken, 'PX', own_expiry_ms)
return {'claimed', ticket}
