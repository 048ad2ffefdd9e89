/**
 * What runs inside the Redis server: each script is one atomic step, which checks first and writes last, so that one
 * that is refused or fails has changed nothing.
 *
 * Everything is kept in one hash. Its field '' (no source has that name) holds the format; every other field is a
 * source, and its value the text `<epoch> <kind> <time> <metadata>\n<position>`: the columns of a row, of which
 * only the last may hold a newline, and of which all but the epoch are empty where there is no offset. Numbers stay texts,
 * for Lua's are doubles. Positions of an order have a fixed number of digits, so that texts compare as numbers do;
 * and of digits alone, whatever the collation that Lua compares by.
 */
import { createHash } from 'node:crypto';

/** What the field '' of the hash holds. */
export const FORMAT = 'streamweave-offset 1';

/** A Lua program, and the name by which a server that has run it before knows it. */
export interface RedisScript {
  readonly lua: string;
  readonly sha: string;
}

/**
 * A script answers with a list of texts, of which the first says how it went: `done`, with what was asked for; `stranger`,
 * with the field '' of a hash that is not ours; `damaged`, with the source and its value; `refused`, with the
 * number of the entry, from 1, and the value that its source has, if any.
 */
const COMMON = `
local key, format = KEYS[1], '${FORMAT}'

local function strange(found)
  return found ~= format and (found or redis.call('EXISTS', key) == 1) and {'stranger', found or ''}
end

-- How many digits a position has; false where it is any text.
local digits = {sequence = 20, timestamp = 17, custom = false, earliest = 0, latest = 0, [''] = 0}

local function parse(text)
  local epoch, kind, metadata, position = string.match(text, '^(%d+) (%a*) %-?%d* ([^\\n]*)\\n(.*)$')
  local count = digits[kind]
  if count == nil then return nil end
  if count and (#position ~= count or string.find(position, '%D')) then return nil end
  return epoch, kind, metadata, position
end

-- The format is written with the first source, and Lua's stack takes less than 8,000 arguments.
local function write(found, sources, values)
  local parts = found and {} or {'', format}
  for _, source in ipairs(sources) do
    parts[#parts + 1] = source
    parts[#parts + 1] = values[source]
    if #parts >= 2000 then
      redis.call('HSET', key, unpack(parts))
      parts = {}
    end
  end
  if #parts > 0 then redis.call('HSET', key, unpack(parts)) end
end

local function raised(epoch)
  return string.format('%.0f', tonumber(epoch) + 1)
end
`;

function script(body: string, before = ''): RedisScript {
  const lua = `${before}${COMMON}${body}`.trim();
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/** ARGV: a source. Answers with its value, or with nothing. */
export const READ = script(`
local values = redis.call('HMGET', key, '', ARGV[1])
return strange(values[1]) or {'done', values[2] or nil}
`);

/** Answers with a list of all fields and values, one after the other. */
export const READ_ALL = script(`
return strange(redis.call('HGET', key, '')) or {'done', redis.call('HGETALL', key)}
`);

/**
 * Most commits are of one source, fenced, and ahead of what is there. One pattern then tells all: it fits a sound value at
 * this epoch and of this kind, and finds its position. It takes half as long as what is there for all commits, which
 * decides where it does not fit.
 */
const AHEAD = `
if #ARGV == 4 then
  local found = redis.call('HMGET', KEYS[1], '', ARGV[1])
  local place = found[1] == '${FORMAT}' and found[2] and string.match(found[2], ARGV[3])
  if place and #place == #ARGV[4] and place < ARGV[4] then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
    return {'done'}
  end
end
`;

/** The further arguments of {@link COMMIT} for a commit of one source: the pattern, and the position. */
export function aheadOf(epoch: number, kind: 'sequence' | 'timestamp', position: string): [string, string] {
  return [`^${epoch} ${kind} %-?%d+ [^\n]*\n(%d+)$`, position];
}

/**
 * ARGV: for each entry its source, and the text `<epoch or nothing><! to allow a regression, or nothing> <kind> <time>
 * <metadata>\n<position>`, with {@link aheadOf} behind the only one where that can be told; for many entries all of
 * that as one JSON list. Commits all or none.
 */
export const COMMIT = script(
  `
local list = #ARGV == 1 and cjson.decode(ARGV[1]) or {ARGV[1], ARGV[2]}
local values, changed, header = {}, {}, nil
for first = 1, #list, 2000 do
  local fields = {''}
  for index = first, math.min(first + 1998, #list), 2 do fields[#fields + 1] = list[index] end
  local found = redis.call('HMGET', key, unpack(fields))
  if first == 1 then
    header = found[1]
    local stranger = strange(header)
    if stranger then return stranger end
  end
  for index = 2, #fields do values[fields[index]] = found[index] end
end
for index = 1, #list, 2 do
  local source = list[index]
  local value = values[source]
  local current, held, known, place = '0', '', '', ''
  if value then
    current, held, known, place = parse(value)
    if not current then return {'damaged', source, value} end
  end
  local epoch, regression, offset, kind, metadata, position =
    string.match(list[index + 1], '^(%d*)(!?) ((%a+) %-?%d+ ([^\\n]*)\\n(.*))$')
  if epoch ~= '' and epoch ~= current then
    return {'refused', tostring((index + 1) / 2), value or nil}
  end
  local alike = kind == held
  if not alike or position ~= place or (metadata ~= '' and metadata ~= known) then
    if alike and kind ~= 'custom' and position < place and regression == '' then
      return {'refused', tostring((index + 1) / 2), value}
    end
    values[source] = current .. ' ' .. offset
    changed[#changed + 1] = source
  end
end
if #changed > 0 then write(header, changed, values) end
return {'done'}
`,
  AHEAD,
);

/**
 * ARGV: a source, and what follows the epoch in its value from now on; without it that stays. Raises the epoch, and
 * answers with it.
 */
export const RAISE = script(`
local source = ARGV[1]
local found = redis.call('HMGET', key, '', source)
local stranger = strange(found[1])
if stranger then return stranger end
local value = found[2] or '0   \\n'
local epoch = parse(value)
if not epoch then return {'damaged', source, value} end
local next = raised(epoch)
write(found[1], {source}, {[source] = next .. (ARGV[2] or string.sub(value, #epoch + 1))})
return {'done', next}
`);

/** ARGV: what follows the epoch in every value from now on. Raises the epoch of every source. */
export const CLEAR_ALL = script(`
local found = redis.call('HGET', key, '')
local stranger = strange(found)
if stranger then return stranger end
local all, sources, values = redis.call('HGETALL', key), {}, {}
for index = 1, #all, 2 do
  local source = all[index]
  if source ~= '' then
    local epoch = parse(all[index + 1])
    if not epoch then return {'damaged', source, all[index + 1]} end
    sources[#sources + 1] = source
    values[source] = raised(epoch) .. ARGV[1]
  end
end
write(true, sources, values)
return {'done'}
`);
