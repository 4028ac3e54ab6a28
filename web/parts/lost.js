// Told when the daemon's stream of events has been away for a while: what is shown is not the present.
import {html, useEffect, useSignal, useState} from '../ui.js';
import {t} from '../words.js';
import {live} from '../api.js';
import {time} from '../format.js';

// A stream that is begun, or begun anew, has this long to come.
const GRACE_MS = 3000;

export function Lost() {
  const up = useSignal(live);
  const [since, setSince] = useState(null);
  useEffect(() => {
    if (up !== false) {
      setSince(null);
      return undefined;
    }
    const from = new Date().toISOString();
    const timer = setTimeout(() => setSince(from), GRACE_MS);
    return () => clearTimeout(timer);
  }, [up]);
  return since && html`<div class="lost" role="alert" id="lost"><p><b>${t('lost.title', {time: time(since)})}</b> ${t('lost.text')}</p></div>`;
}
