#include "task/options_zh.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A path that begins with a dot stands for all that end so: the two sides and their Sentinels have the same options, as have the rules of several lists. */
static const struct {
	const char *path, *sentence;
} sentences[] = {
	{"name",
	 "任务的名称：用于日志、指标、目标端的位点标记和工作目录。可用字母、数字、`.`、`_`、`-`，最长 100 字节。默认由两端地址组成。"},
	{"on_conflict", "目标端对增量中的某条命令给出最终拒绝时怎么办：停止任务并保留位点，或者跳过该命令并计数。"},
	{"checkpoint",
	 "链路进行到哪里记在何处。`target`：记在目标端的数据旁边，无论丢失什么，增量中的每条命令都只生效一次。`local`：只记在工作目录，目标端没有 keyferry 自己的键；"
	 "崩溃或断线之后，大约最后一秒的命令会生效两次。"},
	{"snapshot", "先复制已有的数据，再跟随增量；`false` 只复制此后写入的内容。"},
	{"rename", "键的新名字：第一条命中该键的规则生效。"},
	{"rename[].database", "只针对源端这个库的键。"},
	{"rename[].prefix", "键的前缀，会被替换。空前缀表示所有键：把 `to` 加在前面。"},
	{"rename[].match", "在键中查找的正则表达式（PCRE2，按字节）；匹配到的部分会被替换。"},
	{"rename[].to",
	 "替换成的内容：`$1` 和 `${name}` 是 `match` 的分组，`$0` 是全部匹配，`${db}` 是源端库号，`$$` 是一个美元符号。"},
	{"expiry", "在目标端使用另外的存活时间：第一条命中该键的规则生效。永不过期的键保持不变。"},
	{"expiry[].set", "源端给出的任何存活时间都改成这个值。"},
	{"expiry[].drop", "键在目标端不会自行过期。"},
	{"expiry[].scale", "剩余的时间乘以这个系数。"},
	{"source.mode",
	 "源端是哪种部署；`auto` 询问第一个应答的节点。`rdb` 和 `aof` 是文件而不是服务器：由 `source.path` 指定，应用完毕后任务结束。`scan` 在 PSYNC 被拒绝的地方用 SCAN 和 DUMP "
	 "读取服务器或集群。"},
	{"source.path",
	 "模式 `rdb` 下是 RDB 文件。模式 `aof` 下是追加文件（有无 RDB 前导均可），或者 Redis 7.0 以后带清单的目录，或清单本身。"},
	{"source.databases", "要复制的库；其他库的键不复制。"},
	{"source.read_from", "读取每个分片的哪台服务器；读取副本可以让主节点免于全量的负载。"},
	{"source.scan.follow", "模式 `scan`：读完所有键之后跟随变化；`false` 时任务在此结束。"},
	{"source.scan.notifications",
	 "模式 `scan`：通过键空间通知跟随。服务器不允许读取其设置时，`auto` 继续，`required` 不继续；`off` 每隔 `source.scan.interval` 重新读取所有键。"},
	{"source.scan.interval", "模式 `scan`：即使没有发现遗漏，也在这段时间之后重新读取所有键；0s 表示从不。"},
	{"source.scan.count", "模式 `scan`：SCAN 的 COUNT。较小的值避免源端较长的停顿，较大的值减少往返次数。"},
	{"source.scan.pipeline", "模式 `scan`：在应答之前最多预先请求多少个键；值较大时会更少。"},
	{"source.scan.changes", "模式 `scan`：每条链路用于记录已变化、尚待读取的键名的内存；变化更多时要再读取一遍所有键。"},
	{"target.mode",
	 "目标端是哪种部署；`auto` 询问第一个应答的节点。`rdb`、`aof` 和 `jsonl` 是文件而不是服务器：由 `target.path` 指定。"},
	{"target.path",
	 "模式 `rdb` 或 `jsonl` 下是要写的文件，模式 `aof` 下是多文件追加日志的目录。`{shard}` 代表源端分片的编号，有多个分片时必须写出。"},
	{"target.follow",
	 "模式 `aof` 或 `jsonl`：在全量之后继续写增量，直到任务停止；`false` 在全量之后结束，模式 `rdb` 总是如此。"},
	{"target.aof_format",
	 "模式 `aof`：带清单、基础文件和增量文件的目录，与 7.0 以后的服务器相同；或者带 RDB 前导的单个文件，4.0 以后的服务器可以读取。"},
	{"target.existing",
	 "目标端在开始时已有键怎么办：拒绝，保留并追加，或者先全部删除。目标是文件时：拒绝，或者在新文件完整之后替换它。"},
	{"target.conflict", "全量中的某个键在目标端已经存在时怎么办。"},
	{"target.resync",
	 "源端坚持要做第二次全量时：`exact` 删除目标端中新全量没有的键，因为源端在此期间删除了它们；`add` 保留；`auto` 等同 exact，但在 `target.existing: merge` 或 `lua` 时保留。"},
	{"target.downgrade",
	 "较旧或另一家族的目标端没有对应物的值或命令（哈希字段的存活时间、stream、函数）怎么办：停止，或者不带它继续，写入日志并计数。"},
	{"target.unsupported",
	 "目标端没有加载的模块的值和命令，以及模块保存在键之外的数据怎么办：停止，或者跳过，写入日志并计数。"},
	{"target.keep_idle",
	 "把全量中键的空闲时间（LRU）或访问频率（LFU）带到目标端（Redis 5.0 以上）；源端的 maxmemory-policy 属于 LRU 或 LFU 时才会发送。"},
	{"target.expiry_guard",
	 "是否防止目标端先于源端让键过期：`auto` 在链路落后时，`always` 直到 `keyferry finish`，或者 `off`。在此期间目标端的读者会看到数千年的存活时间；处于导入模式的目标端不需要它。"},
	{"target.expiry_margin",
	 "链路跟上时，键在目标端最多可以比源端多存活多久：目标端或 keyferry 停顿不超过这段时间，就不会丢失被源端延长寿命的键。源端的 DEL 按时结束键；`keyferry finish` 去掉余量。"},
	{"target.database_map", "源端每个库对应目标端的哪个库；没有写出的保持原来的库号。多个库可以进入同一个库。"},
	{"heartbeat", "`heartbeat.enabled` 的简写。"},
	{"heartbeat.enabled",
	 "向源端每个分片写入键 DTS_REDIS_TIMESTAMP_HEARTBEAT 以测量延迟；它不会被复制。没有它时，延迟由抽样的偏移量得出。"},
	{"heartbeat.interval", "两次心跳之间的时间。"},
	{"verify.every", "每隔这么久校验一次正在运行的任务，与 `keyferry verify` 相同；第一次在启动之后一个间隔。`0s`：从不。"},
	{"verify.mode", "比较值，或者只比较 `outline`：键是否存在、类型、过期时间和长度。"},
	{"verify.repair", "把目标端有差异的键改成与源端相同。"},
	{"verify.rate", "每秒键数，两端合计；0 表示不限。"},
	{"limit.spec",
	 "每条链路每秒的记录数，用规格表示：micro 200、small 2000、medium 5000、large 11000、xlarge 17000、2xlarge 34000、4xlarge 68000；或者一个数。"},
	{"limit.records_per_second", "与 `limit.spec` 写一个数相同；两个设置都写时后者有效。"},
	{"limit.bytes_per_second", "每条链路每秒发往目标端的字节数。"},
	{"spool.max_size", "一条链路的本地缓存可以占用的磁盘空间；满了之后，读取源端的速度不超过目标端接收的速度。至少四个段。"},
	{"spool.keep_size",
	 "已应用的内容在链路的本地缓存中保留多少，以便目标端丢失了它确认过的内容时重新发送；最多是 `spool.max_size` 的一半，空间不足时更少。"},
	{"spool.keep_time", "这些内容保留多久。"},
	{"spool.segment_size", "本地缓存中单个文件的大小，整数 MiB。"},
	{"buffers.in_flight_bytes", "一条链路已发往目标端而尚未得到应答的字节数上限。"},
	{"buffers.in_flight_commands", "一条链路已发往目标端而尚未得到应答的命令数上限。"},
	{"timeouts.connect", "建立连接（包括 TLS 和登录）的时限，超过则重试。"},
	{"timeouts.replication", "源端沉默多久之后，链路重新连接并继续。"},
	{"precheck.waive", "不论结果如何都不阻止任务启动的预检查项；报告和日志仍会显示它们。名称见 `keyferry precheck --list`。"},
	{"filter.allow", "复制什么：至少命中其中一条规则的内容。不写则为全部。一条规则写出的条件必须全部满足。"},
	{"filter.block", "不复制什么，即使 `filter.allow` 命中。"},
	{"lua.script", "返回一个函数的脚本；对每个键和每条命令调用该函数，它可以丢弃、修改或拆分。"},
	{"lua.file", "存放该脚本的文件。"},
	{"lua.steps", "一次调用最多执行的指令数；超过即为脚本错误。"},
	{"lua.memory", "脚本可以使用的内存，每条链路单独计算。"},
	/* Of both sides. */
	{".address",
	 "该端的任意节点（为稳妥可写多个，其余自动发现）、它的 Sentinel，或者 unix 套接字；端口默认 6379，Sentinel 默认 26379。"},
	{".username", "登录所用的 ACL 用户；不写则为默认用户。"},
	{".password", "登录密码；最好用 `password_file` 或 `password_env`，不写在文档里。"},
	{".password_file",
	 "存放密码的文件，末尾的一个换行不算在内。每次新建连接都会重新读取，所以服务器上更换密码时，在这里更换即可。"},
	{".password_env", "存放密码的环境变量。"},
	{".tls", "使用 TLS，并用系统的证书验证对方；写成映射可以给出细节，并隐含启用。"},
	{".tls.ca", "验证对方所用的证书（PEM），代替系统的证书。"},
	{".tls.cert", "向对方出示的客户端证书（PEM）；需要同时给出 `key`。"},
	{".tls.key", "客户端证书的私钥（PEM）。"},
	{".tls.server_name", "证书必须包含的名称，用于它与所连接的主机名不同的情况。"},
	{".tls.insecure", "不验证证书：途中的任何人都可以读取和修改数据。"},
	{".master", "Sentinel 所监视的主节点的名称；模式 `sentinel` 必须写出。"},
	/* Of rules. */
	{"[].database", "源端的库。"},
	{"[].key", "键本身，用源端的名称。"},
	{"[].prefix", "键的前缀。"},
	{"[].glob", "匹配整个键，写法与服务器的 KEYS 命令相同：`*`、`?`、`[a-z]`、`[^a]`、`\\`。"},
	{"[].regex", "在键中查找的正则表达式（PCRE2，按字节）。"},
	{"[].slot", "键的哈希槽，不论源端是否是集群。"},
	{"[].type", "值的类型；位图和 HyperLogLog 属于 string，地理位置属于 zset。"},
	{"[].command", "增量中的命令名，有子命令的带上子命令；`*` 和 `?` 与 `glob` 相同。"},
	{"[].group", "增量中的命令所属的组。"},
};

static const struct {
	const char *kind, *words;
} kinds[] = {
	{"text", "文本"},
	{"text or list of texts", "文本或其列表"},
	{"number", "整数"},
	{"number, range or list of them", "整数、范围或其列表"},
	{"list of numbers", "整数的列表"},
	{"factor", "系数"},
	{"size", "大小"},
	{"duration", "时长"},
	{"file", "文件"},
	{"file or folder", "文件或目录"},
	{"address or list of addresses", "地址或其列表"},
	{"user name", "用户名"},
	{"variable name", "环境变量名"},
	{"host name", "主机名"},
	{"master name", "主节点名称"},
	{"name or list of names", "名称或其列表"},
	{"list of names", "名称的列表"},
	{"list of rules", "规则的列表"},
	{"pattern or list of patterns", "模式或其列表"},
	{"regular expression", "正则表达式"},
	{"regular expression or list of them", "正则表达式或其列表"},
	{"a mapping of its options", "由其选项组成的映射"},
	{"mapping of numbers, `*` for all others", "整数的映射，`*` 代表其余"},
	{"records per second", "每秒记录数"},
	{"Lua 5.4", "Lua 5.4"},
};

/* "source.tls" ends with ".tls"; ".tls" itself is no path. */
static bool is_end(const char *path, const char *end)
{
	size_t len = strlen(path), end_len = strlen(end);

	return (end[0] == '.' || end[0] == '[') && len > end_len && strcmp(path + len - end_len, end) == 0;
}

/* A path of its own comes before what several have in common. */
const char *option_sentence_zh(const char *path)
{
	const char *common = NULL;

	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
		if (strcmp(sentences[i].path, path) == 0)
			return path[0] == '.' || path[0] == '[' ? NULL : sentences[i].sentence;
		if (is_end(path, sentences[i].path))
			common = sentences[i].sentence;
	}
	return common;
}

const char *option_kind_zh(const char *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].words;
	return NULL;
}
