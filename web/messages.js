// What the daemon says in sentences, in another language: a sentence is found among the messages of a catalogue (texts/messages.zh.po, made by tools/messages), parts of it in their turn,
// and put together again. What is not known stays as it is.
//
// A message has places: {0} a text, {0#} a number, {0=a|b} one of these words; its translation {0!} for a text that stays. Sentences are joined of messages: "where: what: why",
// "what; and then. What to do". So each is looked at as a whole, and parted at its separators; what explains most letters wins. All is bounded: a place where a message does not fit is
// tried once, and a sentence that needs too many steps is left as far as it has come.

// Other braces ("{shard}", '{"*": 0}') are text.
const PLACE = /\{(\d+|side|node|option|task)(#|!)?\}/g;
const WORDS = /\{(\d+)=([^{}]*)\}/;
const NUMBER = /[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?/y;
// What servers answer begins with a code of theirs, and is never touched.
const ANSWER = /^-?(?:ERR|WRONGTYPE|WRONGPASS|NOAUTH|NOPERM|NOPROTO|NOSCRIPT|NOREPLICAS|NOMASTERLINK|NOTREADY|NOGOODSLAVE|NOTBUSY|MOVED|ASK|TRYAGAIN|CROSSSLOT|CLUSTERDOWN|MASTERDOWN|LOADING|BUSY|BUSYKEY|BUSYGROUP|NOGROUP|UNKILLABLE|READONLY|OOM|MISCONF|EXECABORT|DENIED|UNBLOCKED|INPROG|IOERR|STALE|REDIRECT)\b/;
const SEPARATOR = /: |; |\. |, /g;
// Keys and commands are quoted; an apostrophe stands behind a letter.
const QUOTED = /(?<![^\s([{:,])(?:'[^'\\]*'|"[^"\\]*(?:\\.[^"\\]*)*")(?![^\s,;:.)?\]}])/g;
const JOINED = /[:;.] /;
const HAN_BEGIN = /^\p{Script=Han}/u;
const HAN_END = /\p{Script=Han}$/u;
const TOLD = {': ': '：', '; ': '；', '. ': '。', ', ': '，'};
const SEPARATORS_MAX = 16;
const DEPTH_MAX = 12;
// The longest sentences that there are take a fifth of these.
const STEPS_MAX = 20000;
const LOOK_STEPS = 20;
const TEXT_MAX = 1536;
const KEPT_MAX = 2000;
const HEAD = 3;
// A message of so few letters says little: one of its texts at least has to be a word, or known.
const WEAK = 7;

// Letters count; where they are as many, the other signs decide.
const weigh = (text) => text.replace(/[^\p{L}]/gu, '').length + text.replace(/[\p{L}\s]/gu, '').length / 1000;

// [{literal} or {name, kind}]
function partsOf(text) {
  const parts = [];
  let at = 0;
  for (const place of text.matchAll(PLACE)) {
    if (place.index > at) parts.push({literal: text.slice(at, place.index)});
    parts.push({name: place[1], kind: place[2] ?? ''});
    at = place.index + place[0].length;
  }
  if (at < text.length) parts.push({literal: text.slice(at)});
  return parts;
}

// A message whose places have words is one for each of them: [[message, translation]].
function spelled([key, told]) {
  const words = WORDS.exec(key);
  if (!words) return [[key, told]];
  const others = told.match(new RegExp(`\\{${words[1]}=([^{}]*)\\}`))?.[1].split('|');
  return words[2].split('|').flatMap((word, at) => spelled([key.replace(words[0], () => word), told.replace(new RegExp(`\\{${words[1]}=[^{}]*\\}`, 'g'), () => others[at])]));
}

function template([key, told]) {
  const parts = partsOf(key);
  const literals = parts.filter((part) => part.literal !== undefined).map((part) => part.literal);
  return {
    key, parts, told: partsOf(told), weight: literals.reduce((all, one) => all + weigh(one), 0),
    longest: literals.reduce((longest, one) => (one.length > longest.length ? one : longest), ''),
  };
}

// {name: what stands there}, or null. Texts are as short as they can be.
function match({parts}, text, run) {
  const found = {};
  const failed = new Set();
  const place = (part, at, end, index) => {
    found[part.name] = text.slice(at, end);
    return from(index + 1, end);
  };
  const ends = function* (part, at, next) {
    if (part.kind === '#') {
      NUMBER.lastIndex = at;
      const number = NUMBER.exec(text);
      if (number) yield at + number[0].length;
    } else if (!next) {
      yield text.length;
    } else if (next.literal === undefined) {
      for (let end = at; end <= text.length; end++) yield end;
    } else if (next === parts.at(-1)) {
      if (text.endsWith(next.literal) && text.length - next.literal.length >= at) yield text.length - next.literal.length;
    } else {
      for (let end = text.indexOf(next.literal, at); end >= 0; end = text.indexOf(next.literal, end + 1)) yield end;
    }
  };
  const from = (index, at) => {
    if (index === parts.length) return at === text.length;
    const mark = index * (TEXT_MAX + 1) + at;
    if (failed.has(mark) || --run.steps < 0) return false;
    const part = parts[index];
    if (part.literal !== undefined) {
      if (text.startsWith(part.literal, at) && from(index + 1, at + part.literal.length)) return true;
    } else {
      for (const end of ends(part, at, parts[index + 1])) if (place(part, at, end, index)) return true;
    }
    failed.add(mark);
    return false;
  };
  return from(0, 0) ? found : null;
}

// A function of a sentence that returns {text, known: whether any of it was found}. pairs: [[message, translation]].
export function translator(pairs) {
  // Libraries write the first letter of the same text large or small.
  const plain = (text) => text.slice(0, 1).toLowerCase() + text.slice(1);
  const whole = new Map();
  const byHead = new Map();
  const others = [];
  for (const pair of pairs.flatMap(spelled)) {
    const made = template(pair);
    if (made.weight === 0) continue;
    if (made.parts.length === 1 && made.parts[0].literal !== undefined) {
      whole.set(plain(pair[0]), pair[1]);
      continue;
    }
    const head = made.parts[0].literal?.length >= HEAD ? made.parts[0].literal.slice(0, HEAD) : null;
    if (head === null) others.push(made);
    else byHead.set(head, [...(byHead.get(head) ?? []), made]);
  }
  // Those that say most come first, so that of equal ones always the same is taken.
  const order = (a, b) => b.weight - a.weight || (a.key < b.key ? -1 : 1);
  others.sort(order);
  for (const list of byHead.values()) list.sort(order);

  // pieces: [{text, said}]. Between Chinese words there is no blank, whatever stood around the place.
  function join(pieces) {
    return pieces.map(({text, said}, at) => {
      const [before, behind] = [pieces[at - 1], pieces[at + 1]];
      let piece = text;
      if (!said && before?.said && HAN_END.test(before.text)) piece = piece.replace(/^ (?=\p{Script=Han})/u, '');
      if (!said && behind?.said && HAN_BEGIN.test(behind.text)) piece = piece.replace(/(?<=\p{Script=Han}) $/u, '');
      return piece;
    }).join('');
  }

  function fill(made, found, run, depth) {
    const keys = Object.fromEntries(made.parts.filter((part) => part.name !== undefined).map((part) => [part.name, part]));
    let score = made.weight;
    const pieces = made.told.map((part) => {
      if (part.literal !== undefined) return {text: part.literal};
      const value = found[part.name] ?? '';
      if (part.kind === '!' || keys[part.name]?.kind === '#' || value === '') return {text: value};
      const said = say(value, run, depth + 1);
      // What is joined is better parted there than taken for one text.
      score += said.score - (said.score > 0 && JOINED.test(value) ? 2 : 0);
      return {text: said.text, said: said.score > 0};
    });
    const texts = made.told.filter(({name, kind}) => kind === '' && keys[name]?.kind === '').map(({name}) => found[name]);
    const vague = made.weight < WEAK && texts.length > 0 && texts.every((text) => / /.test(text.replace(QUOTED, '')) && !ANSWER.test(text) && say(text, run, depth + 1).score === 0);
    return vague ? null : {text: join(pieces), score};
  }

  // By one message.
  function one(text, run, depth) {
    const known = whole.get(plain(text));
    // Nothing explains more.
    if (known !== undefined) return {text: known, score: weigh(text) + 1};
    let best = {text, score: 0};
    run.steps -= LOOK_STEPS;
    if (ANSWER.test(text) || depth > DEPTH_MAX || run.steps < 0) return best;
    for (const made of [...(byHead.get(text.slice(0, HEAD)) ?? []), ...others]) {
      if (!text.includes(made.longest)) continue;
      const found = match(made, text, run);
      const said = found && fill(made, found, run, depth);
      if (said && said.score > best.score) best = said;
    }
    return best;
  }

  function say(text, run, depth) {
    const before = run.seen.get(text);
    if (before) return before;
    let best = one(text, run, depth);
    const take = (left, between, right, behind = '') => {
      const score = left.score + right.score - 1;
      if (score > best.score) best = {text: left.text + between + right.text + behind, score};
    };
    if (depth <= DEPTH_MAX && run.steps > 0) {
      const quoted = [...text.matchAll(QUOTED)].map((quote) => [quote.index, quote.index + quote[0].length]);
      const isQuoted = (index) => quoted.some(([begin, end]) => begin < index && index < end);
      const separators = [...text.matchAll(SEPARATOR)].filter(({index}) => !isQuoted(index)).slice(0, SEPARATORS_MAX);
      for (const {index, 0: separator} of separators) {
        if (run.steps < 0) break;
        const [before, behind] = [text.slice(0, index), text.slice(index + separator.length)];
        if (ANSWER.test(before) && separator !== '. ') continue;
        const left = one(before, run, depth + 1);
        const right = say(behind, run, depth + 1);
        if (right.score === 0 && left.score === 0) continue;
        // What is listed is known, each of it.
        if (separator === ', ' && (right.score === 0 || left.score === 0)) continue;
        take(left, TOLD[separator], right);
      }
      // "PATH is no file", "source ADDRESS: ...": one word, and what is said of it.
      const blank = text.indexOf(' ');
      const first = text.slice(0, Math.max(0, blank));
      const known = whole.get(plain(first));
      if ((known !== undefined || /[/.:]/.test(first)) && !ANSWER.test(text)) {
        const rest = say(text.slice(blank + 1), run, depth + 1);
        const left = {text: join([{text: known ?? first, said: true}, {text: ' '}, {text: rest.text, said: true}]), score: known === undefined ? 0 : weigh(first)};
        if (rest.score > 0) take(left, '', {text: '', score: rest.score - 1});
      }
      if (text.endsWith(')') && !ANSWER.test(text)) {
        for (let index = text.indexOf(' ('); index > 0; index = text.indexOf(' (', index + 1)) {
          if (run.steps < 0) break;
          if (isQuoted(index)) continue;
          const left = one(text.slice(0, index), run, depth + 1);
          const inside = text.slice(index + 2, -1);
          take(left, '（', say(inside, run, depth + 1), '）');
        }
      }
    }
    run.seen.set(text, best);
    return best;
  }

  const kept = new Map();
  return (text) => {
    if (!text || text.length > TEXT_MAX) return {text, known: false};
    if (!kept.has(text)) {
      if (kept.size >= KEPT_MAX) kept.clear();
      const said = say(text, {seen: new Map(), steps: STEPS_MAX}, 0);
      kept.set(text, {text: said.text, known: said.score > 0 && said.text !== text});
    }
    return kept.get(text);
  };
}
