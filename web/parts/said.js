// What the daemon says in a sentence, in the page's language as far as it is known there; the sentence itself, by which documents and other people know it, stays at hand.
import {html, useSignal} from '../ui.js';
import {sentences, t} from '../words.js';

const lang = (text) => (/\p{Script=Han}/u.test(text) ? 'zh-CN' : 'en');

export function Said({text}) {
  const translate = useSignal(sentences);
  const said = translate?.(text);
  return said?.known ? html`<span class="said" lang="zh-CN" title=${text}>${said.text}</span>` : html`<span lang=${lang(text ?? '')}>${text}</span>`;
}

// texts: sentences, of which some may be missing. Nothing where none was translated.
export function Original({texts}) {
  const translate = useSignal(sentences);
  const given = texts.filter(Boolean);
  if (!translate || !given.some((text) => translate(text).known)) return null;
  return html`<details class="original"><summary>${t('said.original')}</summary>${given.map((text) => html`<p lang=${lang(text)}>${text}</p>`)}</details>`;
}
