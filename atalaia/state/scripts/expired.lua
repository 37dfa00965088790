-- KEYS prefix of the rows; ARGV buckets, a time: the rows of these buckets that expire by then, and the
-- earliest expiry among the others.
local prefix, buckets = KEYS[1], ARGV[1]
local call, sub, unpacked = redis.call, string.sub, struct.unpack
-- As numbers: strings would be compared by the server's locale.
local limit = unpacked('>I6', ARGV[2])
local ids, lengths, values = {}, {}, {}
local found = 0
local earliest = math.huge
for i = 1, #buckets / 4 do
    local bucket = call('HGETALL', prefix .. sub(buckets, 4 * i - 3, 4 * i))
    for place = 2, #bucket, 2 do
        local value = bucket[place]
        local expires = unpacked('>I6', value, 2)
        if expires <= limit then
            found = found + 1
            ids[found] = bucket[place - 1]
            values[found] = value
            lengths[found] = struct.pack('<I2', #value)
        elseif expires < earliest then
            earliest = expires
        end
    end
end
local rest = ''
if earliest < math.huge then
    rest = struct.pack('>I6', earliest)
end
return {table.concat(ids), table.concat(lengths), table.concat(values), rest}
