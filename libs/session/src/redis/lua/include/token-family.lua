-- The packed credentials of a session: a byte of flags for the cookie, 64 added to it, and one for the refresh token (1 present,
-- 2 client known, 4 previous secret kept, 8 parent's branch known, 16 a branch replaced, 32 in use); then of each kind that is
-- present SHA-256 of the secret, generation, branch, [client], [previous hash, until], [parent's branch], [branch replaced].
-- The earlier form has one byte, three bits for each kind, and the instant of the last rotation where the branch is now.
-- Mirrored by packed.ts.
local WITH_BRANCHES = 64

local function hasFlag(flags, flag)
  return math.floor(flags / flag) % 2 == 1
end

local function unpackFamilies(bytes)
  local flags, at = {}, nil
  flags[1], at = struct.unpack('>B', bytes)
  if flags[1] < WITH_BRANCHES then
    flags[1], flags[2] = flags[1] % 8, math.floor(flags[1] / 8)
  else
    flags[1] = flags[1] - WITH_BRANCHES
    flags[2], at = struct.unpack('>B', bytes, at)
  end
  local families = {}
  for kind = 1, 2 do
    local own = flags[kind]
    if hasFlag(own, 1) then
      local family = {}
      family.hash, family.generation, family.branch, at = struct.unpack('>c32I4I6', bytes, at)
      if hasFlag(own, 2) then
        family.client, at = struct.unpack('>c8', bytes, at)
      end
      if hasFlag(own, 4) then
        family.previous, family.previousUntil, at = struct.unpack('>c32I6', bytes, at)
      end
      if hasFlag(own, 8) then
        family.parentBranch, at = struct.unpack('>I6', bytes, at)
      end
      if hasFlag(own, 16) then
        family.replacedBranch, at = struct.unpack('>I6', bytes, at)
      end
      -- Before generation 0 there is no token whose replay the use of this one could make reuse.
      family.inUse = hasFlag(own, 32) or family.generation == 0
      families[kind] = family
    end
  end
  return families
end

local function packFamilies(families)
  local flags, parts = { 0, 0 }, { '', '' }
  for kind = 1, 2 do
    local family = families[kind]
    if family then
      flags[kind] = 1 + (family.client and 2 or 0) + (family.previous and 4 or 0) + (family.parentBranch and 8 or 0)
        + (family.replacedBranch and 16 or 0) + (family.inUse and 32 or 0)
      parts[#parts + 1] = struct.pack('>c32I4I6', family.hash, family.generation, family.branch)
      parts[#parts + 1] = family.client or ''
      parts[#parts + 1] = family.previous and struct.pack('>c32I6', family.previous, family.previousUntil) or ''
      parts[#parts + 1] = family.parentBranch and struct.pack('>I6', family.parentBranch) or ''
      parts[#parts + 1] = family.replacedBranch and struct.pack('>I6', family.replacedBranch) or ''
    end
  end
  parts[1] = struct.pack('>BB', WITH_BRANCHES + flags[1], flags[2])
  return table.concat(parts)
end

-- A family with a new secret.
local function newFamily(hash, branch, client)
  return { hash = hash, generation = 0, branch = branch, client = client, inUse = true }
end

-- The branch of a token that is issued now: unique in its family.
local function nextBranch(family)
  return math.max(now, family.branch + 1)
end

-- The families of a session, or an empty table if they cannot be read.
local function readFamilies(clock)
  local ok, families = pcall(unpackFamilies, clock.credentials)
  return ok and families or {}
end
