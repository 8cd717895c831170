-- The packed credentials of a session: per kind a flags byte (1 present, 2 client known, 4 previous secret kept), then
-- SHA-256 of the secret, n, instant of the last rotation, [client], [previous hash, until]. Mirrored by packed.ts.
local function unpackLineages(bytes)
  local lineages, at = {}, 1
  for kind = 1, 2 do
    local flags
    flags, at = struct.unpack('>B', bytes, at)
    if bit.band(flags, 1) == 1 then
      local lineage = {}
      lineage.hash, lineage.n, lineage.rotatedAt, at = struct.unpack('>c32I4I6', bytes, at)
      if bit.band(flags, 2) == 2 then
        lineage.client, at = struct.unpack('>c8', bytes, at)
      end
      if bit.band(flags, 4) == 4 then
        lineage.previous, lineage.previousUntil, at = struct.unpack('>c32I6', bytes, at)
      end
      lineages[kind] = lineage
    end
  end
  return lineages
end

local function packLineages(lineages)
  local parts = {}
  for kind = 1, 2 do
    local lineage = lineages[kind]
    if not lineage then
      parts[#parts + 1] = '\0'
    else
      local flags = 1 + (lineage.client and 2 or 0) + (lineage.previous and 4 or 0)
      parts[#parts + 1] = struct.pack('>Bc32I4I6', flags, lineage.hash, lineage.n, lineage.rotatedAt)
      if lineage.client then
        parts[#parts + 1] = lineage.client
      end
      if lineage.previous then
        parts[#parts + 1] = struct.pack('>c32I6', lineage.previous, lineage.previousUntil)
      end
    end
  end
  return table.concat(parts)
end

-- The lineages of a session, or an empty table where what is stored cannot be read.
local function readLineages(sid)
  local bytes = redis.call('HGET', user, 'k' .. sid)
  if not bytes then
    return {}
  end
  local ok, lineages = pcall(unpackLineages, bytes)
  return ok and lineages or {}
end
