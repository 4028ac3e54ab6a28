// What the figures of a task's links mean: how each is, which need a look, and many of them put together.
import {t, word} from './words.js';
import {tone} from './parts/state.js';

// Is a link without the source that it should have?
export const isAway = (link) => !link.connected && (Boolean(link.source_away) || ['snapshot', 'streaming'].includes(link.state));

// Without its source nobody knows how far the source has gone on: what was measured before is no lag.
export const lagOf = (link) => (link.connected ? link.lag.seconds ?? null : null);
export const bytesBehind = (link) => (link.connected ? link.lag.bytes ?? null : null);

// Of a task: as far as the slowest one; null where it is not known of each.
export function slowest(links, of = lagOf) {
  const known = links.filter((link) => link.state !== 'finished').map(of);
  return known.length && known.every((value) => value != null) ? Math.max(...known) : null;
}

export function shareOf(link) {
  const {bytes_total: total, bytes_done: done, keys_total: keys, keys_done: keysDone} = link.snapshot;
  if (total > 0) return Math.min(done / total, 1);
  return keys > 0 ? Math.min(keysDone / keys, 1) : null;
}

// Up to so many links each is shown by itself.
export const EACH_MOST = 8;

// Lags that are told apart, in seconds.
const LAGS = [1, 10, 60];
const lagTexts = ['1 s', '10 s', '1 min'];

// Kinds of links, the worst first: {key, needsLook, fits}.
const kinds = [
  {key: 'failed', needsLook: true, fits: (link) => link.state === 'failed'},
  {key: 'away', needsLook: true, fits: isAway},
  {key: 'waiting', needsLook: true, fits: (link) => Boolean(link.waiting_for)},
  {key: 'lag_most', needsLook: true, fits: (link) => link.state === 'streaming' && lagOf(link) >= LAGS[2]},
  {key: 'lag_more', needsLook: true, fits: (link) => link.state === 'streaming' && lagOf(link) >= LAGS[1]},
  {key: 'connecting', fits: (link) => link.state === 'connecting'},
  {key: 'snapshot', fits: (link) => link.state === 'snapshot'},
  {key: 'lag_some', fits: (link) => link.state === 'streaming' && lagOf(link) >= LAGS[0]},
  {key: 'lag_unknown', fits: (link) => link.state === 'streaming' && lagOf(link) == null},
  {key: 'lag_little', fits: (link) => link.state === 'streaming'},
  {key: 'other', fits: () => true},
];

const kindOf = (link) => kinds.find((kind) => kind.fits(link));
const ends = {lag_most: [2, 2], lag_more: [1, 2], lag_some: [0, 1], lag_little: [0, 0]};

// What needs a look is not green, whatever its state.
export const needsLook = (link) => Boolean(kindOf(link).needsLook);
export const toneOf = (link) => (link.state === 'failed' ? 'bad' : needsLook(link) ? 'warn' : tone(link.state));

// Of a bundle: what all of its links have in common.
export function kindText(key) {
  if (['connecting', 'snapshot'].includes(key)) return word('state', key);
  const [low, high] = (ends[key] ?? []).map((at) => lagTexts[at]);
  return t(`bundle.${key}`, {low, high});
}

const collator = new Intl.Collator(undefined, {numeric: true});
// Lags of the same size count as the same, so that rows do not change places with each figure.
const size = (link) => (lagOf(link) >= LAGS[1] ? Math.floor(Math.log2(lagOf(link))) : 0);

// The worst first: [{link, kind}].
export function ranked(links) {
  return links.map((link) => ({link, kind: kindOf(link)}))
    .sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || size(b.link) - size(a.link) || collator.compare(a.link.source, b.link.source));
}

// Of ranked links: [{key, links}], the worst first.
export function bundles(order) {
  const made = new Map();
  for (const {link, kind} of order) {
    if (!made.has(kind.key)) made.set(kind.key, []);
    made.get(kind.key).push(link);
  }
  return [...made].map(([key, links]) => ({key, links}));
}
