// The charts of a task over a time that one chooses; the choice is remembered.
import {html, useState} from '../ui.js';
import {t} from '../words.js';
import {bytes, number, seconds} from '../format.js';
import {settings} from '../settings.js';
import {spans, useTrend} from '../trend.js';
import {Chart} from './chart.js';

const chosen = () => (settings.read('span') in spans ? settings.read('span') : '15m');
const share = (value) => `${Math.round(value * 100)} %`;

export function Charts({task, status}) {
  const [span, setSpan] = useState(chosen());
  const {data, end, revision} = useTrend(task.id, span, status);
  const choose = (name) => {
    settings.write('span', name);
    setSpan(name);
  };
  const chart = (name, title, format, more = {}) => html`<div class="card"><${Chart} key=${name} title=${title} times=${data.time} values=${data[name]} revision=${revision} begin=${end - spans[span]} end=${end}
    format=${format} ...${more} /></div>`;
  if (!status?.links.length && !data.time.length) return null;
  return html`<section aria-labelledby="charts-title"><div class="bar"><h2 id="charts-title">${t('chart.title')}</h2>
      <div class="counts" role="group" aria-label=${t('chart.span')}>${Object.keys(spans).map((name) => html`<button key=${name} id=${`span-${name}`} aria-pressed=${name === span} onClick=${() => choose(name)}>${t(`span.${name}`)}</button>`)}</div></div>
    <div class="charts">
      ${data.progress.filter((value) => value != null).length > 1 && chart('progress', t('chart.progress'), share, {growing: true})}
      ${chart('lag', t('chart.lag'), seconds, {tint: '--warn'})}
      ${chart('commands', t('chart.commands'), number, {counts: true})}
      ${chart('bytes', t('chart.bytes'), (value) => `${bytes(value)}/s`, {sizes: true})}
      ${chart('spool', t('chart.spool'), bytes, {sizes: true, tint: '--good'})}
    </div></section>`;
}
