"""What the daemon says, in Chinese: every message of the catalogue, sentences as they are said, and what an operator reads of failures."""

import importlib.machinery
import importlib.util
import json
import pathlib

import pytest
from bench.compare import assert_same
from bench.data import fill
from bench.waiting import wait_for
from console import check, complaints_of, open_console

# Fills each place with something, says the message, and compares: [[said, wanted, told]] of those that came out otherwise.
EACH = """
(async () => {
  const base = document.querySelector('script[src]').src;
  const [{translator}, {messages}] = await Promise.all([import(new URL('messages.js', base)), import(new URL('texts/messages_zh.js', base))]);
  const say = translator(messages), place = /\\{(\\d+|side|node|option|task)(#|!|=[^{}]*)?\\}/g, wrong = [];
  let said = 0;
  for (const [key, told] of messages) {
    const kinds = new Map([...key.matchAll(place)].map(([, name, kind]) => [name, kind ?? '']));
    const most = Math.max(1, ...[...kinds.values()].map((kind) => (kind.startsWith('=') ? kind.split('|').length : 1)));
    for (let which = 0; which < most; which++) {
      const filled = (text) => text.replace(place, (_, name, kind = '') => {
        const words = kind.startsWith('=') ? kind.slice(1).split('|') : null;
        return words ? words[which % words.length] : kinds.get(name) === '#' ? String(7 + Number(name)) : `x${name}:42`;
      });
      said++;
      if (say(filled(key)).text !== filled(told)) wrong.push([filled(key), filled(told), say(filled(key)).text]);
    }
  }
  return JSON.stringify({said, wrong});
})()
"""

SAY = """
(async () => {
  const base = document.querySelector('script[src]').src;
  const [{translator}, {messages}] = await Promise.all([import(new URL('messages.js', base)), import(new URL('texts/messages_zh.js', base))]);
  const say = translator(messages);
  return JSON.stringify(%s.map((text) => say(text).text));
})()
"""

SENTENCES = {
    # A place, a library's words behind it.
    "cannot open /tmp/x/orders.rdb: Permission denied": "无法打开 /tmp/x/orders.rdb：权限不足",
    "10.0.0.1:6379: connection refused": "10.0.0.1:6379：连接被拒绝",
    "10.0.0.1:6379: the server asks for a password": "10.0.0.1:6379：服务器要求密码",
    "document:3: option 'source.address[0]': 'here:99999' is not host:port": "document:3：选项 'source.address[0]'：'here:99999' 不是 host:port",
    # What a server answers stays, though words of it are known; the mend behind it is told.
    "target 10.0.0.1:1 refuses LPUSH of key \"a: the source; b\" (database 0, offset 9): WRONGTYPE Operation against a key holding the wrong kind of value. "
    "Somebody else may have written to the target: mend the key there and start again, or set on_conflict: skip":
        "目标端 10.0.0.1:1 拒绝 LPUSH，键 \"a: the source; b\"（数据库 0，偏移量 9）：WRONGTYPE Operation against a key holding the wrong kind of value。"
        "可能有别人写入了目标端：修正该键后重新启动，或设置 on_conflict: skip",
    "ERR unknown command 'FOO', with args beginning with: 'the' 'source': target": "ERR unknown command 'FOO', with args beginning with: 'the' 'source': target",
    # Sentences of several messages.
    "target 10.0.0.1:1: connected again after 3.2 s (closed the connection); of 30 commands under way 12 were found applied and 18 sent again; it goes on behind offset 12345":
        "目标端 10.0.0.1:1：3.2 秒后重新连接（关闭了连接）；30 个在途的命令中，12 个查明已应用，18 个重发；从偏移量 12345 之后继续",
    "10.0.0.1:1: Valkey 8.1.1: full resync, a snapshot at offset 14 of replication id 0123abcd: its backlog does not hold offset 15 any more (closed the connection; away for 12.0 s)":
        "10.0.0.1:1：Valkey 8.1.1：全量重新同步，快照始于复制 ID 0123abcd 的偏移量 14：其积压缓冲区已不再保有偏移量 15（关闭了连接；离开了 12.0 秒）",
    "100 slots of the target (5 to 104) moved from a:1 to b:2 within 0.3 s; the rest went on; everything up to offset 99 was applied before":
        "目标端的 100 个槽（5 至 104）在 0.3 秒内从 a:1 移到 b:2；其余照常进行；直到偏移量 99 的内容在此之前均已应用",
    # Words in other places than in English, and in lists.
    "it is a list in the source and a hash in the target": "源端是列表，目标端是哈希",
    "expires at 12345 in the source and never in the target": "源端于 12345 过期，目标端永不过期",
    "the source is Valkey 8.1.1, the target Redis 4.0.14, which has no streams, no function libraries (the source has 3): the first one stops the task, naming it "
    "(target.downgrade: stop; with lossy it goes on without)":
        "源端是 Valkey 8.1.1，目标端是 Redis 4.0.14（没有流，没有函数库（源端有 3 个））：遇到第一个时任务停止并指明（target.downgrade: stop；设为 lossy 则略过）",
    # A report that was made in Chinese has the words of libraries in English.
    "无法使用源端 10.0.0.1:1：10.0.0.1:1: connection refused": "无法使用源端 10.0.0.1:1：10.0.0.1:1：连接被拒绝",
    # What was quoted, with blanks in it; words beside it.
    "the task in /data was begun with other settings: rename (was not set, is [{\"prefix\": \"a\", \"to\": \"b, c\"}]), filter (was x, is y)":
        "/data 中的任务是以其他设置开始的：rename（原为未设置，现为 [{\"prefix\": \"a\", \"to\": \"b, c\"}]），filter（原为 x，现为 y）",
    "none of the 2 addresses of the source can be used: 127.0.0.1:1: connection refused; 127.0.0.1:2: timed out": "源端的 2 个地址都无法使用：127.0.0.1:1：连接被拒绝；127.0.0.1:2：超时",
    "/data/a.rdb begins with a snapshot, and other files come before it": "/data/a.rdb 以快照开头，而它之前还有其他文件",
    "\"5x\" is not a duration (for example heartbeat.interval: 1s)": "\"5x\" 不是时长（例如 heartbeat.interval: 1s）",
    "waiting for target 127.0.0.1:6: LOADING Redis is loading the dataset in memory; it goes on by itself when that is over":
        "等待目标端 127.0.0.1:6：LOADING Redis is loading the dataset in memory；结束后会自动继续",
    # What nobody knows.
    "something quite unknown": "something quite unknown",
    "the target of the source: it is somebody's key (of a list)": "the target of the source: it is somebody's key (of a list)",
    "a quick fox is at the door of the house": "a quick fox is at the door of the house",
    "": "",
}


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """tools/messages, with a catalogue of its own."""
    loader = importlib.machinery.SourceFileLoader("messages", str(pathlib.Path(__file__).resolve().parents[2] / "tools/messages"))
    made = importlib.util.module_from_spec(importlib.util.spec_from_loader("messages", loader))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader.exec_module(made)
    monkeypatch.setattr(made, "CATALOGUE", tmp_path / "messages.zh.po")
    return made


SOURCE = r"""
/* error_set(error, KIND, "in a comment"); */
#define HINT "Try it " "again"
static const char *const whys[] = {"it is gone", "word", "ERR no such key"};
bool work(struct error *error)
{
	error_set(error, ERROR_SOURCE, "key %.*s of %" PRIu64 " \"quoted\": 5%% of %s", (int)key.len, key.data, count, is_source(error, 1) ? "source" : "target");
	error_hint(error, ready ? "Wait, then go on at %s" : "Start at %s, " HINT, place);
	incident_add_text(&incident, "; %u key%s removed%s", count, count == 1 ? "" : "s", text ? text : "of no use");
	log_write(LOG_INFO, "only the log has this");
	note(part, LOG_INFO, "nor this");
	return refuse(error, "missing", 'x', HINT);
}
"""


def test_extraction(tool):
    """Of a C file: formats with their arguments, words of a choice, joined literals, phrases that arguments may be."""
    found = list(tool.messages_in("src/part/noun.c", SOURCE, {"HINT": "Try it again"}))
    assert found == ["Try it again", "it is gone", "key {0} of {1#} \"quoted\": 5% of {2=source|target}", "Wait, then go on at {0}", "Start at {0}, Try it again",
                     "{0#} key{1=|s} removed{2}", "of no use", "missing"]


def test_catalogue(tool, monkeypatch):
    """What is wrong with it is told to the one who has changed a message; --update keeps what is translated."""
    found = {"{0} of {1#} key{2=|s} is {3=gone|there}": ["src/a.c"], "new \"one\"": ["src/b.c"]}
    monkeypatch.setattr(tool, "extract", lambda: found)
    key, good = "{0} of {1#} key{2=|s} is {3=gone|there}", "{1} 个键的 {0}{3=消失|存在}"
    tool.write_catalogue(found, {key: good})
    assert tool.read_catalogue(tool.CATALOGUE.read_text(encoding="utf-8")) == {key: good, "new \"one\"": ""}
    assert [fault for fault in tool.faults() if "no translation" in fault and "src/b.c" in fault] == list(tool.faults())
    for wrong, why in {"{1} {3=a|b}": "lacks {0}", "{0} {1} {3=a}": "no 2 words", "{0} {1} {3=a|b} {4}": "has {4}", "{0=a|b} {1} {3=a|b}": "which has none", "{0!} {1} {2=|} {3=a|b}": None}.items():
        tool.write_catalogue(found, {key: wrong, "new \"one\"": "x", "gone": "x"})
        told = " ".join(tool.faults())
        assert (why in told) if why else told == "", told
    text = tool.CATALOGUE.read_text(encoding="utf-8")
    tool.CATALOGUE.write_text(text + '\nmsgid "left "\n"over"\nmsgstr "x"\n', encoding="utf-8")
    assert any("nothing says 'left over'" in fault for fault in tool.faults())
    tool.CATALOGUE.write_text(text + text[text.index("#: src/b.c"):], encoding="utf-8")
    assert any("is there twice" in fault for fault in tool.faults())


@pytest.fixture
def console(daemon, browser):
    open_console(browser, daemon)
    browser.find("h2|No tasks yet")
    return browser


def test_every_message(console):
    """Said with something in each of its places, each comes out as its translation, whatever else is alike."""
    outcome = json.loads(console.js(EACH))
    assert outcome["wrong"] == [] and outcome["said"] > 1200
    check(console)


def test_sentences(console):
    assert dict(zip(SENTENCES, json.loads(console.js(SAY % json.dumps(list(SENTENCES)))))) == SENTENCES
    check(console)


def test_hostile_sentences(console):
    """Whatever stands in a sentence, it is done with soon."""
    hostile = ["a: " * 500, " (" * 700 + ")" * 100, "target x refuses y (database 0, z): " * 40, "is in the source and in the target; " * 40, "1" * 1500, "'" * 1500, '"\\' * 700,
               "{0} {1#} {2=a|b} " * 80, "target " * 200, "x" * 100000, "a (" * 450 + ")" * 50, "the source (" * 120 + ")" * 50, "x: source target the key " * 60]
    spent = console.js(f"(async () => {{ const begun = performance.now(); await {SAY.strip() % json.dumps(hostile)}; return performance.now() - begun }})()")
    assert spent < 20000
    check(console)


def fetched(browser):
    return [url for url in browser.requests if "messages" in url]


def test_failed_precheck(bench, daemon, browser, axe):
    """Of a server that is away, and of a target that is not empty: cause and mend in Chinese, also where the report was made in English."""
    source, target = bench.server(), bench.server()
    target.command("SET", "in-the-way", "1")
    daemon.create("orders", source, target)
    daemon.job("precheck", "orders")
    open_console(browser, daemon, "#/tasks/1/precheck")
    browser.find(".check.failed .cause|holds 1 keys already")
    assert not fetched(browser)
    browser.click("#language")
    browser.find(".check.failed .cause|已有 1 个键")
    browser.find(".check.failed .remedy|清空它，或把 target.existing 设为")
    assert len(fetched(browser)) == 2
    browser.click(".check.failed summary|英文原文")
    browser.find(".check.failed details p|holds 1 keys already")
    check(browser, axe)
    source.kill()
    browser.click("#precheck-start")
    browser.find(".check.failed .cause|连接被拒绝")
    browser.find(".check.failed .cause|无法使用源端")
    browser.find(".check.failed .remedy|检查 source.address")
    check(browser)


def test_stopped_task(bench, daemon, browser, axe):
    """By what the target refuses: what happened, the server's own answer, what to do; in the list, on the task's page, among its events, and in English again."""
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    daemon.create("orders", source, target)
    daemon.call("task.start", task="orders")
    daemon.wait_state("orders", "streaming")
    daemon.wait_in_step("orders", source)
    target.command("SET", "in-the-way", "1")
    source.command("RPUSH", "in-the-way", "1")
    daemon.wait_state("orders", "failed")
    open_console(browser, daemon, language="zh")
    browser.find("td .fault|拒绝 RPUSH，键")
    browser.click("tbody a|orders")
    browser.find("#fault p|拒绝 RPUSH，键 \"in-the-way\"（数据库 0，偏移量")
    browser.find("#fault p|：WRONGTYPE Operation against a key holding the wrong kind of value")
    browser.find("#fault .hint|修正该键后重新启动，或设置 on_conflict: skip")
    assert "refuses" in browser.js("document.querySelector('#fault .said').title")
    browser.click("#fault summary")
    browser.find("#fault details [lang=en]|refuses RPUSH of key")
    check(browser, axe)
    browser.click(".tabs a|事件")
    browser.find(".events li|失败")
    browser.find(".events li .said|拒绝 RPUSH")
    check(browser, axe)
    browser.click("#language")
    browser.find("#fault p|refuses RPUSH of key")
    assert not browser.has(".said") and not browser.has("details.original")
    target.command("DEL", "in-the-way")
    browser.click("#do-resume")
    browser.click("#confirm")
    browser.find(".title .state|Streaming")
    daemon.wait_in_step("orders", source)
    assert_same(source, target, as_replica=True)
    check(browser)


def test_refused_call(bench, daemon, browser):
    """What the daemon refuses is told in Chinese, where it happened and why."""
    source = bench.server()
    open_console(browser, daemon, "#/new", language="zh")
    browser.click("#import")
    browser.fill("#import-text", f"name: orders\nsource: {{address: {source.address}, mod: cluster}}\ntarget: {{address: {source.address}}}\n")
    browser.click("#import-take")
    browser.find("dialog [role=alert]|未知选项 'source.mod'：是否想写 'source.mode'？")
    browser.find("dialog [role=alert]|'keyferry help options' 列出全部选项")
    complaints_of(browser, "422")
    wait_for(lambda: daemon.call("task.list") == [], what="no task")
