// Numbers, sizes and times as people read them.
import {language, t} from './words.js';

const locale = () => (language.get() === 'zh' ? 'zh-CN' : 'en-GB');
const NOTHING = '–';

export function number(value) {
  return value == null ? NOTHING : Math.round(value).toLocaleString(locale());
}

export function bytes(value) {
  if (value == null) return NOTHING;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function seconds(value) {
  if (value == null) return NOTHING;
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172800) return `${Math.round(value / 3600)} h`;
  return t('time.days', {count: Math.round(value / 86400)});
}

export function percent(share) {
  return share == null ? NOTHING : `${Math.floor(share * 1000) / 10} %`;
}

export function time(text) {
  if (!text) return NOTHING;
  const at = new Date(text);
  const day = at.toDateString() === new Date().toDateString() ? {} : {year: 'numeric', month: '2-digit', day: '2-digit'};
  return at.toLocaleString(locale(), {...day, hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false});
}

export function rate(value) {
  return value == null ? NOTHING : t('rate.records', {count: number(value)});
}

export function limit(task) {
  const {records_per_second: records, bytes_per_second: size} = task.limit ?? {};
  const parts = [];
  if (records) parts.push(t('rate.records', {count: number(records)}));
  if (size) parts.push(`${bytes(size)}/s`);
  return parts.join(', ') || t('limit.none');
}

// Where a side is, in few words.
export function place(side) {
  const addresses = [].concat(side?.address ?? side?.path ?? []);
  if (!addresses.length) return NOTHING;
  return addresses.length > 1 ? t('place.more', {address: addresses[0], count: addresses.length - 1}) : addresses[0];
}
