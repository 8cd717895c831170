-- The packed credentials of a session: a byte of flags, three bits for the cookie and above them three for the refresh
-- token (1 present, 2 client known, 4 previous secret kept); then of each kind that is present SHA-256 of the secret, n,
-- instant of the last rotation, [client], [previous hash, until]. Mirrored by packed.ts.
local function unpackLineages(bytes)
  local flags, at = struct.unpack('>B', bytes)
  local lineages = {}
  for kind = 1, 2 do
    local own = math.floor(flags / 8 ^ (kind - 1)) % 8
    if own % 2 == 1 then
      local lineage = {}
      lineage.hash, lineage.n, lineage.rotatedAt, at = struct.unpack('>c32I4I6', bytes, at)
      if math.floor(own / 2) % 2 == 1 then
        lineage.client, at = struct.unpack('>c8', bytes, at)
      end
      if own >= 4 then
        lineage.previous, lineage.previousUntil, at = struct.unpack('>c32I6', bytes, at)
      end
      lineages[kind] = lineage
    end
  end
  return lineages
end

local function packLineages(lineages)
  local flags, parts = 0, { '' }
  for kind = 1, 2 do
    local lineage = lineages[kind]
    if lineage then
      flags = flags + (1 + (lineage.client and 2 or 0) + (lineage.previous and 4 or 0)) * 8 ^ (kind - 1)
      parts[#parts + 1] = struct.pack('>c32I4I6', lineage.hash, lineage.n, lineage.rotatedAt)
      parts[#parts + 1] = lineage.client or ''
      parts[#parts + 1] = lineage.previous and struct.pack('>c32I6', lineage.previous, lineage.previousUntil) or ''
    end
  end
  parts[1] = struct.pack('>B', flags)
  return table.concat(parts)
end

-- The lineages of a session, or an empty table where what is stored cannot be read.
local function readLineages(clock)
  local ok, lineages = pcall(unpackLineages, clock.credentials)
  return ok and lineages or {}
end
