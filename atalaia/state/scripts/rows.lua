-- KEYS prefix of the rows; ARGV ids, buckets: what is held of each id, lengths in two bytes
local prefix, ids, buckets = KEYS[1], ARGV[1], ARGV[2]
local call, sub = redis.call, string.sub
local lengths, values, packed = {}, {}, {}
local found = 0
for i = 1, #ids / 16 do
    local value = call('HGET', prefix .. sub(buckets, 4 * i - 3, 4 * i), sub(ids, 16 * i - 15, 16 * i))
    local length = 0
    if value then
        found = found + 1
        values[found] = value
        length = #value
    end
    local code = packed[length]
    if not code then
        code = struct.pack('<I2', length)
        packed[length] = code
    end
    lengths[i] = code
end
return {table.concat(lengths), table.concat(values)}
