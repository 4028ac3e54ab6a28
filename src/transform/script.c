#include "transform/script.h"

/* Before 5.0 a script is replicated as it is, unless it asks for its effects to be: needed where it reads the clock, and DUMP counts as random. */
#define EFFECTS "if redis.replicate_commands then redis.replicate_commands() end\n"

#define FAILED "local function failed(r) return type(r)=='table' and r.err end\n"

/* Unix ms at which a key expires, negative: never. PTTL is what is left, so the clock must not move meanwhile (in scripts of these versions it does). */
#define EXPIRY                                                                                                                   \
	"local function now() local t=redis.call('TIME') return t[1]*1000+math.floor(t[2]/1000) end\n"                           \
	"local function expiry(key)\n"                                                                                           \
	"local before,left,after\n"                                                                                              \
	"repeat before=now() left=redis.call('PTTL',key) after=now() until before==after\n"                                      \
	"return left<0 and left or before+left\n"                                                                                \
	"end\n"

/* Makes `key` a sorted set of a list {member, score, ...}; an empty one takes it away. Returns an error, or how many. */
#define STORE                                                                                                                    \
	"local function store(key,list)\n"                                                                                       \
	"local r=redis.pcall('DEL',key)\n"                                                                                       \
	"if failed(r) then return r end\n"                                                                                       \
	"for i=1,#list,1000 do\n"                                                                                                \
	"local c={'ZADD',key}\n"                                                                                                 \
	"for j=i,math.min(i+999,#list),2 do c[#c+1]=list[j+1] c[#c+1]=list[j] end\n"                                             \
	"redis.call(unpack(c))\n"                                                                                                \
	"end\n"                                                                                                                  \
	"return #list/2\n"                                                                                                       \
	"end\n"

/* KEYS: the key. ARGV: the value. */
const char script_set_keepttl[] =
	EFFECTS FAILED EXPIRY "local at=expiry(KEYS[1])\n"
			      "local r=redis.pcall('SET',KEYS[1],ARGV[1])\n"
			      "if not failed(r) and at>=0 then redis.call('PEXPIREAT',KEYS[1],string.format('%.0f',at)) end\n"
			      "return r";

/* KEYS: from, to. ARGV: the database of the second or "", "REPLACE" or "". */
const char script_copy[] = EFFECTS FAILED EXPIRY "local value=redis.call('DUMP',KEYS[1])\n"
						 "if not value then return 0 end\n"
						 "local at=expiry(KEYS[1])\n"
						 "if ARGV[1]~='' then redis.call('SELECT',ARGV[1]) end\n"
						 "local c={'RESTORE',KEYS[2],0,value}\n"
						 "if ARGV[2]~='' then c[5]=ARGV[2] end\n"
						 "local r=redis.pcall(unpack(c))\n"
						 "if failed(r) then return r end\n"
						 "if at>=0 then redis.call('PEXPIREAT',KEYS[2],string.format('%.0f',at)) end\n"
						 "return 1";

/* KEYS: from, to. ARGV: MOVE or COPY, the database of the first key, of the second, the types selected under the first name (",list,hash,"), under the
 * second, REPLACE or "". */
const char script_move_by_type[] = EFFECTS FAILED EXPIRY
	"local known={string=1,list=1,set=1,zset=1,hash=1,stream=1}\n"
	"local kind=redis.call('TYPE',KEYS[1])\n"
	"kind=kind.ok or kind\n"
	"local function has(types) return string.find(types,','..(known[kind] and kind or 'module')..',',1,true) end\n"
	"local same,held=ARGV[2]==ARGV[3],kind~='none' and has(ARGV[4])\n"
	"local r=0\n"
	"if held and has(ARGV[5]) then\n"
	"if same and ARGV[1]=='MOVE' then return redis.pcall('RENAME',KEYS[1],KEYS[2]) end\n"
	"local value,at=redis.call('DUMP',KEYS[1]),expiry(KEYS[1])\n"
	"if not same then redis.call('SELECT',ARGV[3]) end\n"
	"r=redis.pcall('RESTORE',KEYS[2],0,value,'REPLACE')\n"
	"if failed(r) then return r end\n"
	"if at>=0 then redis.call('PEXPIREAT',KEYS[2],string.format('%.0f',at)) end\n"
	"if not same then redis.call('SELECT',ARGV[2]) end\n"
	"elseif ARGV[6]~='' then\n"
	"if not same then redis.call('SELECT',ARGV[3]) end\n"
	"r=redis.pcall('DEL',KEYS[2])\n"
	"if failed(r) then return r end\n"
	"if not same then redis.call('SELECT',ARGV[2]) end\n"
	"end\n"
	"if held and ARGV[1]=='MOVE' then return redis.pcall('DEL',KEYS[1]) end\n"
	"return r";

/* KEYS: from, to. ARGV: the end to take from, the end to put to. The element is put before it is taken, so a list of one that is moved into itself
 * stays, with its expiry. */
const char script_lmove[] = FAILED "local left=ARGV[1]=='LEFT'\n"
				   "local element=redis.call('LINDEX',KEYS[1],left and 0 or -1)\n"
				   "if not element then return false end\n"
				   "local r=redis.pcall(ARGV[2]=='LEFT' and 'LPUSH' or 'RPUSH',KEYS[2],element)\n"
				   "if failed(r) then return r end\n"
				   "redis.call(left and 'LPOP' or 'RPOP',KEYS[1])\n"
				   "return element";

/* KEYS: destination, sources. ARGV: DIFF, DIFF1, ANDOR or ONE. Shorter strings are as if padded with zeros. */
const char script_bitop[] = FAILED "local values,longest={},0\n"
				   "for i=2,#KEYS do\n"
				   "values[i-1]=redis.call('GET',KEYS[i]) or ''\n"
				   "longest=math.max(longest,#values[i-1])\n"
				   "end\n"
				   "local parts={}\n"
				   "for at=1,longest do\n"
				   "local x,any,twice=values[1]:byte(at) or 0,0,0\n"
				   "for i=ARGV[1]=='ONE' and 1 or 2,#values do\n"
				   "local byte=values[i]:byte(at) or 0\n"
				   "twice=bit.bor(twice,bit.band(any,byte))\n"
				   "any=bit.bor(any,byte)\n"
				   "end\n"
				   "local byte\n"
				   "if ARGV[1]=='DIFF' then byte=bit.band(x,bit.bnot(any))\n"
				   "elseif ARGV[1]=='DIFF1' then byte=bit.band(any,bit.bnot(x))\n"
				   "elseif ARGV[1]=='ANDOR' then byte=bit.band(x,any)\n"
				   "else byte=bit.band(any,bit.bnot(twice)) end\n"
				   "parts[at]=string.char(bit.band(byte,255))\n"
				   "end\n"
				   "if longest==0 then return redis.pcall('DEL',KEYS[1]) end\n"
				   "return redis.pcall('SET',KEYS[1],table.concat(parts))";

/* KEYS: the hash. ARGV: field, value, ... Needs HPEXPIRETIME, HPEXPIREAT. */
const char script_hsetex_keepttl[] =
	FAILED "for first=1,#ARGV,1000 do\n"
	       "local last=math.min(first+999,#ARGV)\n"
	       "local ask,set={'HPEXPIRETIME',KEYS[1],'FIELDS',(last-first+1)/2},{'HSET',KEYS[1]}\n"
	       "for i=first,last,2 do ask[#ask+1]=ARGV[i] set[#set+1]=ARGV[i] set[#set+1]=ARGV[i+1] end\n"
	       "local times=redis.call(unpack(ask)) or {}\n"
	       "local r=redis.pcall(unpack(set))\n"
	       "if failed(r) then return r end\n"
	       "for i=first,last,2 do\n"
	       "local at=times[(i-first)/2+1]\n"
	       "if at and at>=0 then redis.call('HPEXPIREAT',KEYS[1],string.format('%.0f',at),'FIELDS',1,ARGV[i]) end\n"
	       "end\n"
	       "end\n"
	       "return 1";

/* KEYS: the sorted set. ARGV: GT, LT or "", NX, XX or "", then score, member, ... */
const char script_zadd[] = FAILED "for i=3,#ARGV,2 do\n"
				  "local old,score=redis.call('ZSCORE',KEYS[1],ARGV[i+1]),tonumber(ARGV[i])\n"
				  "local set\n"
				  "if not old then set=ARGV[2]~='XX'\n"
				  "elseif ARGV[2]=='NX' then set=false\n"
				  "elseif ARGV[1]=='GT' then set=score>tonumber(old)\n"
				  "elseif ARGV[1]=='LT' then set=score<tonumber(old)\n"
				  "else set=true end\n"
				  "if set then\n"
				  "local r=redis.pcall('ZADD',KEYS[1],ARGV[i],ARGV[i+1])\n"
				  "if failed(r) then return r end\n"
				  "end\n"
				  "end\n"
				  "return 1";

/* KEYS: destination, source. ARGV: 1 where the answer has scores, else 0, then the reading command and its arguments without the key. */
const char script_zrangestore[] =
	FAILED STORE "local c={ARGV[2],KEYS[2]}\n"
		     "for i=3,#ARGV do c[#c+1]=ARGV[i] end\n"
		     "local list=redis.pcall(unpack(c))\n"
		     "if failed(list) then return list end\n"
		     "if ARGV[1]=='0' then\n"
		     "local members=list\n"
		     "list={}\n"
		     "for _,m in ipairs(members) do list[#list+1]=m list[#list+1]=redis.call('ZSCORE',KEYS[2],m) end\n"
		     "end\n"
		     "return store(KEYS[1],list)";

/* KEYS: destination, sources, which may be sets as well. */
const char script_zdiffstore[] =
	FAILED STORE "local list\n"
		     "if redis.call('TYPE',KEYS[2]).ok=='set' then\n"
		     "list={}\n"
		     "for _,m in ipairs(redis.call('SMEMBERS',KEYS[2])) do list[#list+1]=m list[#list+1]='1' end\n"
		     "else list=redis.pcall('ZRANGE',KEYS[2],0,-1,'WITHSCORES') end\n"
		     "if failed(list) then return list end\n"
		     "for k=3,#KEYS do\n"
		     "local ask=redis.call('TYPE',KEYS[k]).ok=='set' and 'SISMEMBER' or 'ZSCORE'\n"
		     "local rest={}\n"
		     "for i=1,#list,2 do\n"
		     "local there=redis.call(ask,KEYS[k],list[i])\n"
		     "if not there or there==0 then rest[#rest+1]=list[i] rest[#rest+1]=list[i+1] end\n"
		     "end\n"
		     "list=rest\n"
		     "end\n"
		     "return store(KEYS[1],list)";

/* KEYS: destination, source. ARGV: FROMMEMBER or FROMLONLAT, the member or longitude, "" or latitude, width, height, metres of the unit, count or 0,
 * ASC or DESC, 1 to store distances. The arithmetic is that of the servers' geohash_helper.c, in the same order, so that borders are the same. A
 * point of the box is at most half the width and half the height away. */
const char script_geo_box[] = FAILED STORE
	"local x,y=ARGV[2],ARGV[3]\n"
	"if ARGV[1]=='FROMMEMBER' then\n"
	"local at=redis.call('GEOPOS',KEYS[2],ARGV[2])[1]\n"
	"if not at then return store(KEYS[1],{}) end\n"
	"x,y=at[1],at[2]\n"
	"end\n"
	"x,y=tonumber(x),tonumber(y)\n"
	"local unit=tonumber(ARGV[6])\n"
	"local width,height=tonumber(ARGV[4])*unit,tonumber(ARGV[5])*unit\n"
	"local R=6372797.560856\n"
	"local function rad(d) return d*(math.pi/180) end\n"
	"local function lat_distance(a,b) return R*math.abs(rad(b)-rad(a)) end\n"
	"local function distance(x1,y1,x2,y2)\n"
	"local v=math.sin((rad(x2)-rad(x1))/2)\n"
	"if v==0 then return lat_distance(y1,y2) end\n"
	"local u=math.sin((rad(y2)-rad(y1))/2)\n"
	"return 2*R*math.asin(math.sqrt(u*u+math.cos(rad(y1))*math.cos(rad(y2))*v*v))\n"
	"end\n"
	"local around=redis.pcall('GEORADIUS',KEYS[2],string.format('%.17g',x),string.format('%.17g',y),"
	"string.format('%.17g',(width+height)/2+1),'m','WITHCOORD')\n"
	"if failed(around) then return around end\n"
	"local found={}\n"
	"for _,one in ipairs(around) do\n"
	"local x2,y2=tonumber(one[2][1]),tonumber(one[2][2])\n"
	"if lat_distance(y2,y)<=height/2 and distance(x2,y2,x,y2)<=width/2 then found[#found+1]={one[1],distance(x,y,x2,y2)} "
	"end\n"
	"end\n"
	"local count=tonumber(ARGV[7])\n"
	"if count>0 then table.sort(found,function(a,b) if ARGV[8]=='DESC' then return a[2]>b[2] end return a[2]<b[2] end) end\n"
	"local list={}\n"
	"for i=1,count>0 and math.min(count,#found) or #found do\n"
	"list[#list+1]=found[i][1]\n"
	"list[#list+1]=ARGV[9]=='1' and string.format('%.17g',found[i][2]/unit) or redis.call('ZSCORE',KEYS[2],found[i][1])\n"
	"end\n"
	"return store(KEYS[1],list)";

/* KEYS: the stream. ARGV: the last id to go. */
const char script_xtrim[] = FAILED "local total=0\n"
				   "while true do\n"
				   "local entries=redis.call('XRANGE',KEYS[1],'-',ARGV[1],'COUNT',500)\n"
				   "if #entries==0 then return total end\n"
				   "local c={'XDEL',KEYS[1]}\n"
				   "for _,entry in ipairs(entries) do c[#c+1]=entry[1] end\n"
				   "local r=redis.pcall(unpack(c))\n"
				   "if failed(r) then return r end\n"
				   "total=total+r\n"
				   "end";

/* KEYS: the hash. ARGV: the time to write, the true time, GT or LT, base and span of held times, the margin of live ones, fields. A field without a time expires
 * never: later than anything. */
const char script_hpexpireat_if[] =
	FAILED "local at,base,span,margin=tonumber(ARGV[2]),tonumber(ARGV[4]),tonumber(ARGV[5]),tonumber(ARGV[6])\n"
	       "for i=7,#ARGV do\n"
	       "local t=redis.call('HPEXPIRETIME',KEYS[1],'FIELDS',1,ARGV[i])\n"
	       "t=type(t)=='table' and t[1] or -2\n"
	       "if t>=base and t<base+span then t=t-base elseif t>=0 and t<base then t=t-margin end\n"
	       "if t~=-2 and ((ARGV[3]=='GT' and t~=-1 and at>t) or (ARGV[3]=='LT' and (t==-1 or at<t))) then\n"
	       "local r=redis.pcall('HPEXPIREAT',KEYS[1],ARGV[1],'FIELDS',1,ARGV[i])\n"
	       "if failed(r) then return r end\n"
	       "end\n"
	       "end\n"
	       "return 1";

const struct command_info script_call = {
	.name = "eval",
	.name_len = 4,
	.arity = -3,
	.flags = COMMAND_WRITE | COMMAND_MOVABLE_KEYS,
	.key_rule = COMMAND_KEYS_SCRIPT,
	.key_at = 2,
	.key_step = 1,
};
