// A line over the last minutes.
import {html, useEffect, useRef} from '../ui.js';
import uPlot from '../vendor/uPlot.js';

const HEIGHT = 150;
const dark = matchMedia('(prefers-color-scheme: dark)');

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function build(box, format, tint) {
  const axis = {stroke: colour('--dim'), grid: {stroke: colour('--line'), width: 1}, ticks: {show: false}, font: '11px system-ui, sans-serif'};
  return new uPlot({
    width: Math.max(box.clientWidth, 200), height: HEIGHT, legend: {show: false}, cursor: {show: false},
    scales: {x: {time: true}, y: {range: (_, low, high) => [0, high > 0 ? high * 1.15 : 1]}},
    axes: [{...axis, size: 26, space: 80, values: (_, at) => at.map((second) => new Date(second * 1000).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false}))},
      {...axis, size: 76, space: 34, values: (_, at) => at.map((value) => format(value))}],
    series: [{}, {stroke: colour(tint), fill: `${colour(tint)}22`, width: 2, points: {show: false}}],
  }, [[], []], box);
}

// times and values: arrays of the same length. revision: changes when they have.
export function Chart({title, times, values, revision, format, tint = '--accent'}) {
  const box = useRef();
  const plot = useRef();
  useEffect(() => {
    const make = () => {
      if (!box.current) return;
      plot.current?.destroy();
      plot.current = build(box.current, format, tint);
      plot.current.setData([times, values]);
    };
    make();
    const sizes = new ResizeObserver(() => box.current && plot.current.setSize({width: Math.max(box.current.clientWidth, 200), height: HEIGHT}));
    sizes.observe(box.current);
    const themes = new MutationObserver(make);
    themes.observe(document.documentElement, {attributes: true, attributeFilter: ['data-theme']});
    dark.addEventListener('change', make);
    return () => {
      sizes.disconnect();
      themes.disconnect();
      dark.removeEventListener('change', make);
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current.setData([times, values]), [revision]);
  const now = values.length ? format(values.at(-1)) : '–';
  return html`<figure class="chart"><figcaption><span>${title}</span><b class="num">${now}</b></figcaption>
    <div ref=${box} class="plot" role="img" aria-label=${`${title}: ${now}`}></div></figure>`;
}
