// How far the snapshot of a task is, and how long it will take.

// Of all links: by bytes, or by keys where a source tells no size.
export function snapshotOf(status) {
  const snapshots = status.links.map((link) => link.snapshot);
  const of = (name) => snapshots.reduce((all, snapshot) => all + (snapshot[name] ?? 0), 0);
  const unit = snapshots.length && snapshots.every((snapshot) => snapshot.bytes_total > 0) ? 'bytes' : 'keys';
  const total = of(`${unit}_total`);
  const done = Math.min(of(`${unit}_done`), total);
  return {unit, total, done, share: total > 0 ? done / total : null, keys: of('keys_done')};
}

// Seconds until it is done, by the last half minute of live samples (trend.js); null: cannot be told yet.
export function timeLeft(live, snapshot) {
  const last = live.at(-1);
  const first = live.find((sample) => sample.time >= last.time - 30);
  if (live.length < 3 || first === last || !snapshot.total) return null;
  const speed = (last.done - first.done) / (last.time - first.time);
  return speed > 0 ? (snapshot.total - snapshot.done) / speed : null;
}
