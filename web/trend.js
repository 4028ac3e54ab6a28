// How a task went, for charts: what the daemon has kept, and behind it what its status has said since, a sample a second.
import {useEffect, useRef, useState} from './ui.js';
import {get, taskPath} from './api.js';
import {slowest} from './links.js';
import {snapshotOf} from './snapshot.js';

export const spans = {'15m': 900, '1h': 3600, '24h': 86400};
export const columns = ['lag', 'commands', 'bytes', 'spool', 'progress'];

// The daemon is asked again before it has more than this that only the page knows.
const AGAIN_MS = 60000;
const LIVE_MOST = 120;
// A longer time without a sample is a time at which the task did not run.
const GAP_S = 150;
const names = {lag: 'lag_seconds', commands: 'commands_per_second', bytes: 'bytes_per_second', spool: 'spool_bytes', progress: 'progress'};

const lives = new Map();

// The last samples of a task that the page has heard itself. id: as number or as text.
export function liveOf(id) {
  if (!lives.has(String(id))) lives.set(String(id), []);
  return lives.get(String(id));
}

const sum = (links, of) => links.reduce((all, link) => all + (of(link) ?? 0), 0);

export function take(id, status) {
  const live = liveOf(id);
  const time = status.as_of ? Date.parse(status.as_of) / 1000 : null;
  if (!time || !status.links.length || live.at(-1)?.time >= time) return;
  const {share, done} = snapshotOf(status);
  live.push({
    time,
    done,
    lag: slowest(status.links),
    commands: sum(status.links, (link) => link.rates.commands_per_second),
    bytes: sum(status.links, (link) => link.rates.bytes_per_second),
    spool: sum(status.links, (link) => link.spool.bytes),
    progress: status.state === 'snapshot' ? share : null,
  });
  if (live.length > LIVE_MOST) live.shift();
}

// told: the daemon's answer, or null. {time: [...], lag: [...], ...}, with null where the line is broken.
function joined(told, live, since) {
  const made = {time: [], ...Object.fromEntries(columns.map((name) => [name, []]))};
  const add = (time, of) => {
    if (time - made.time.at(-1) > GAP_S) {
      made.time.push(made.time.at(-1) + 1);
      for (const name of columns) made[name].push(null);
    }
    made.time.push(time);
    for (const name of columns) made[name].push(of(name));
  };
  (told?.time ?? []).forEach((time, at) => time >= since && add(time, (name) => told[names[name]][at]));
  const last = told?.time.length ? told.time.at(-1) + told.step : since;
  // The newest one in any case: the figures above the charts are the ones beside them.
  live.forEach((sample, at) => {
    if (sample.time >= last || (at === live.length - 1 && !(sample.time <= made.time.at(-1)))) add(sample.time, (name) => sample[name]);
  });
  return made;
}

// {data, end, revision}; end: of the time that is shown, in seconds. status: the last that was heard, which draws it again.
export function useTrend(id, span, status) {
  const [told, setTold] = useState(null);
  const asked = useRef(0);
  useEffect(() => {
    let left = false;
    const ask = () => get(taskPath(id, `/trend?span=${span}`)).then((answer) => {
      if (left) return;
      asked.current++;
      setTold(answer);
    }, () => null);
    ask();
    const timer = setInterval(() => document.hidden || ask(), AGAIN_MS);
    return () => {
      left = true;
      clearInterval(timer);
    };
  }, [id, span]);
  const end = Math.max(Date.now() / 1000, status?.as_of ? Date.parse(status.as_of) / 1000 : 0);
  const own = told?.span === span ? told : null;
  return {data: joined(own, liveOf(id), end - spans[span]), end, revision: `${span} ${asked.current} ${status?.as_of}`};
}
