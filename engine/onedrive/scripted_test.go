package onedrive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// world is a scripted source over a real folder, with a clock that the test sets.
type world struct {
	t      *testing.T
	dir    string
	names  []string
	tracks map[string]*Track
	now    Moment
	last   Moment
	odo    time.Duration

	// answer says what the source answers about a file; health what of OneDrive.
	answer  func(name string) Answer
	health  Health
	highest Rung
	err     error
	asked   int
	// during runs while the source is asked.
	during func()
}

var healthy = Health{Running: Yes, SignedIn: Yes, QuotaLeft: Yes, Reachable: Yes}

func newWorld(t *testing.T, names ...string) *world {
	w := &world{t: t, dir: t.TempDir(), names: names, tracks: map[string]*Track{}, health: healthy, highest: ClientUploaded,
		now: Moment{Wall: time.Date(2025, 10, 20, 3, 0, 0, 0, time.UTC), Awake: 5 * time.Hour}}
	w.last = w.now
	for _, name := range names {
		w.write(name, "content of "+name)
		w.tracks[name] = NewTrack(int64(len("content of "+name)), "b", w.odo, w.now.Wall)
	}
	w.all(Pending)
	return w
}

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// all has the source answer the same about every file.
func (w *world) all(r Rung) { w.answer = func(string) Answer { return Answer{Rung: r} } }

// blocked has the source refuse every file.
func (w *world) blocked(c Class) {
	w.answer = func(string) Answer { return Answer{Rung: Pending, Class: c} }
}

func (w *world) Name() string                  { return "scripted" }
func (w *world) Highest() Rung                 { return w.highest }
func (w *world) Health(context.Context) Health { return w.health }

func (w *world) Observe(_ context.Context, paths []string) ([]Answer, error) {
	w.asked++
	if w.during != nil {
		w.during()
	}
	if w.err != nil {
		return nil, w.err
	}
	var out []Answer
	for _, p := range paths {
		out = append(out, w.answer(filepath.Base(p)))
	}
	return out, nil
}

// pass lets time pass, awake or asleep.
func (w *world) pass(d time.Duration)  { w.now.Wall, w.now.Awake = w.now.Wall.Add(d), w.now.Awake+d }
func (w *world) sleep(d time.Duration) { w.now.Wall = w.now.Wall.Add(d) }

// look observes every file and judges.
func (w *world) look() Judgement {
	w.t.Helper()
	var paths []string
	for _, n := range w.names {
		paths = append(paths, filepath.Join(w.dir, n))
	}
	obs, health, err := Look(w.t.Context(), w, w.dir, paths)
	if err != nil {
		w.t.Fatal(err)
	}
	w.odo += w.now.Since(w.last)
	w.last = w.now
	var list []*Track
	for i, n := range w.names {
		w.tracks[n].Observe(w.odo, obs[i])
		list = append(list, w.tracks[n])
	}
	return Judge(list, health, w.highest, w.odo, time.Hour)
}

// want fails the test unless the judgement is as said.
func (w *world) want(when string, v Verdict, r Rung, c Class) {
	w.t.Helper()
	if j := w.look(); j.Verdict != v || j.Rung != r || j.Class != c {
		w.t.Errorf("%s: %s, %s, class %q; want %s, %s, %q", when, j.Verdict, j.Rung, j.Class, v, r, c)
	}
}

var errAsked = errors.New("no answer")

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }
