// Jobs of a task (precheck, verify, cutover, finish): started, waited for, their last result.
import {useEffect, useRef, useState} from '../ui.js';
import {language} from '../words.js';
import {get, post, taskPath} from '../api.js';

const PAUSE_MS = 700;

// {view, error, start(options), reload()}; view is the API's JobView, null until it was asked for. revision: it is asked for again when that changes.
export function useJob(id, kind, revision) {
  const [view, setView] = useState(null);
  const [error, setError] = useState(null);
  const timer = useRef(0);
  const gone = useRef(false);
  // Of a task that has just been made the job is started before the view is drawn with its id.
  const of = useRef(id);
  if (id) of.current = id;
  const reload = async () => {
    clearTimeout(timer.current);
    try {
      const next = await get(taskPath(of.current, `/${kind}`));
      if (gone.current) return;
      setView(next);
      setError(null);
      if (next.running) timer.current = setTimeout(reload, PAUSE_MS);
    } catch (problem) {
      if (gone.current) return;
      setError(problem);
      timer.current = setTimeout(reload, 5 * PAUSE_MS);
    }
  };
  useEffect(() => {
    gone.current = false;
    if (id) reload();
    return () => {
      gone.current = true;
      clearTimeout(timer.current);
    };
  }, [id, kind, revision]);
  const start = async (options, made) => {
    if (made) of.current = made;
    const running = await post(taskPath(of.current, `/${kind}${kind === 'precheck' ? `?lang=${language.get()}` : ''}`), options);
    if (!gone.current) setView((old) => ({running, result: old?.result ?? null}));
    clearTimeout(timer.current);
    timer.current = setTimeout(reload, PAUSE_MS);
  };
  return {view, error, start, reload};
}
