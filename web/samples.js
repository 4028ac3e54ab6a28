// What the status of a task said while the page was open, for charts: the last quarter of an hour, a sample a second. The daemon keeps none.
const MOST = 900;
const kept = new Map();

const sum = (links, of) => links.reduce((all, link) => all + (of(link) ?? 0), 0);
const most = (links, of) => {
  const known = links.map(of).filter((value) => value != null);
  return known.length ? Math.max(...known) : null;
};

// How far the snapshots of all links are: by bytes, or by keys where a source tells no size.
export function snapshotOf(status) {
  const snapshots = status.links.map((link) => link.snapshot);
  const of = (name) => snapshots.reduce((all, snapshot) => all + (snapshot[name] ?? 0), 0);
  const unit = snapshots.length && snapshots.every((snapshot) => snapshot.bytes_total > 0) ? 'bytes' : 'keys';
  const total = of(`${unit}_total`);
  const done = Math.min(of(`${unit}_done`), total);
  return {unit, total, done, share: total > 0 ? done / total : null, keys: of('keys_done')};
}

// id: of the task, as number or as text.
export function samplesOf(task) {
  const id = String(task);
  if (!kept.has(id)) kept.set(id, {time: [], lag: [], commands: [], bytes: [], spool: [], progress: [], done: []});
  return kept.get(id);
}

export function take(id, status) {
  const samples = samplesOf(id);
  const time = status.as_of ? Date.parse(status.as_of) / 1000 : null;
  if (!time || !status.links.length || samples.time.at(-1) >= time) return samples;
  const snapshot = snapshotOf(status);
  const row = {
    time,
    lag: most(status.links, (link) => link.lag.seconds),
    commands: sum(status.links, (link) => link.rates.commands_per_second),
    bytes: sum(status.links, (link) => link.rates.bytes_per_second),
    spool: sum(status.links, (link) => link.spool.bytes),
    progress: snapshot.share == null ? null : snapshot.share * 100,
    done: snapshot.done,
  };
  for (const [name, value] of Object.entries(row)) {
    samples[name].push(value);
    if (samples[name].length > MOST) samples[name].shift();
  }
  return samples;
}

// Seconds until the snapshot is done, by the last half minute; null: cannot be told yet.
export function timeLeft(samples, snapshot) {
  const last = samples.time.length - 1;
  const first = samples.time.findIndex((time) => time >= samples.time[last] - 30);
  if (last < 2 || first === last || !snapshot.total) return null;
  const speed = (samples.done[last] - samples.done[first]) / (samples.time[last] - samples.time[first]);
  return speed > 0 ? (snapshot.total - snapshot.done) / speed : null;
}
