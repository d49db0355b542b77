package onedrive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

// What the waiting looks like in each case that can come up, over a real folder with a scripted source.
func TestVerdicts(t *testing.T) {
	faults := matrix.Of(t, "28")
	for name, script := range map[string]func(w *world){
		"uploaded": func(w *world) {
			w.want("at first", Progressing, Pending, "")
			w.pass(10 * time.Second)
			w.all(Uploading)
			w.want("on the way", Progressing, Uploading, "")
			w.pass(10 * time.Second)
			w.all(ClientUploaded)
			w.want("one claim", Progressing, Uploading, "")
			w.pass(59 * time.Second)
			w.want("a claim too early", Progressing, Uploading, "")
			w.pass(time.Second)
			w.want("a minute later", Done, ClientUploaded, "")
			if tr := w.tracks["a"]; tr.Upload != 20*time.Second || tr.AtLeast != 10*time.Second {
				w.t.Errorf("it took %s, at least %s", tr.Upload, tr.AtLeast)
			}
		},
		"one of many is not": func(w *world) {
			w.answer = func(name string) Answer {
				if name == "b" {
					return Answer{Rung: Pending}
				}
				return Answer{Rung: ClientUploaded}
			}
			w.want("at first", Progressing, Pending, "")
			w.pass(minutes(5))
			w.want("later", Progressing, Pending, "")
			if j := w.look(); j.Waiting != 1 || j.Files != 3 || j.WaitingBytes == 0 || j.WaitingBytes >= j.Bytes {
				w.t.Errorf("%+v", j)
			}
		},
		"pending for long": func(w *world) {
			w.want("at first", Progressing, Pending, "")
			w.pass(minutes(59))
			w.want("for 59 minutes", Progressing, Pending, "")
			w.pass(minutes(1))
			w.want("for an hour", Stuck, Pending, "")
			if j := w.look(); len(j.RuledOut) != 4 {
				w.t.Errorf("ruled out: %q", j.RuledOut)
			}
		},
		"slow, but moving": func(w *world) {
			w.want("at first", Progressing, Pending, "")
			w.pass(minutes(50))
			w.answer = func(name string) Answer {
				if name == "a" {
					return Answer{Rung: Uploading}
				}
				return Answer{Rung: Pending}
			}
			w.want("the first moves", Progressing, Pending, "")
			w.pass(minutes(11))
			w.want("over an hour", Slow, Pending, "")
			w.pass(minutes(50))
			w.want("nothing moved since", Stuck, Pending, "")
		},
		"quota": func(w *world) {
			w.blocked(Quota)
			w.want("a file's error", Blocked, Pending, Quota)
			w.all(Pending)
			w.health.QuotaLeft = No
			w.want("the account's", Blocked, Pending, Quota)
			w.health.QuotaLeft = Yes
			w.want("room was made", Progressing, Pending, "")
		},
		"signed out": func(w *world) {
			w.health.SignedIn = No
			w.all(ClientUploaded)
			w.look()
			w.pass(minutes(2))
			w.blocked(SignedOut)
			w.want("signed out", Blocked, Pending, SignedOut)
		},
		"a refused name": func(w *world) { w.blocked(RefusedName); w.want("refused", Blocked, Pending, RefusedName) },
		"excluded":       func(w *world) { w.blocked(Excluded); w.want("excluded", Blocked, Pending, Excluded) },
		"no permission":  func(w *world) { w.blocked(NoPermission); w.want("denied", Blocked, Pending, NoPermission) },
		"a blocked claim": func(w *world) {
			w.answer = func(string) Answer { return Answer{Rung: ClientUploaded, Class: Quota} }
			w.look()
			w.pass(minutes(5))
			w.want("an error beside the claim", Blocked, Pending, Quota)
		},
		"the folder is gone": func(w *world) {
			w.all(ClientUploaded)
			w.look()
			w.pass(minutes(2))
			w.want("uploaded", Done, ClientUploaded, "")
			if err := os.RemoveAll(w.dir); err != nil {
				w.t.Fatal(err)
			}
			w.want("gone", Blocked, Unknown, FolderGone)
			if _, err := os.Stat(w.dir); err == nil {
				w.t.Error("the folder was made again")
			}
		},
		"OneDrive does not run": func(w *world) {
			w.all(ClientUploaded)
			w.health = Health{Running: No}
			w.look()
			w.pass(minutes(5))
			w.want("claimed all the same", Blocked, Unknown, NotRunning)
		},
		"whether it runs is unknown": func(w *world) {
			w.all(ClientUploaded)
			w.health = Health{}
			w.look()
			w.pass(minutes(5))
			w.want("claimed", Unknowable, Unknown, "")
		},
		"all values unknown": func(w *world) {
			w.all(Unknown)
			w.health = Health{}
			w.want("at first", Unknowable, Unknown, "")
			w.pass(minutes(90))
			w.want("for long", Unknowable, Unknown, "")
			if j := w.look(); !j.Late {
				w.t.Error("it is not called late")
			}
		},
		"the source fails": func(w *world) {
			w.err = errAsked
			w.want("at first", Unknowable, Unknown, "")
			w.pass(minutes(2))
			w.want("again", Unknowable, Unknown, "")
			if d := w.tracks["a"].Detail; !strings.Contains(d, "no answer") {
				w.t.Errorf("detail %q", d)
			}
		},
		"a plain folder": func(w *world) {
			w.highest = LocalOnly
			w.all(CloudVerified)
			w.look()
			w.pass(minutes(120))
			w.want("it claims what it cannot know", Unknowable, LocalOnly, "")
			if j := w.look(); j.Late {
				w.t.Error("what cannot be known is called late")
			}
		},
		"a folder that is none of OneDrive's": func(w *world) {
			w.all(LocalOnly)
			w.health = Health{Running: No}
			w.want("so the source says", Unknowable, LocalOnly, "")
			w.pass(minutes(120))
			w.want("for long", Unknowable, LocalOnly, "")
			if j := w.look(); j.Late || !j.Plain() {
				w.t.Errorf("%+v", j)
			}
		},
		"a source above itself": func(w *world) {
			w.all(CloudVerified)
			w.look()
			w.pass(minutes(1))
			w.want("clamped", Done, ClientUploaded, "")
		},
		"flapping": func(w *world) {
			for range 4 {
				w.all(ClientUploaded)
				w.want("claimed", Progressing, Uploading, "")
				w.pass(30 * time.Second)
				w.all(Pending)
				w.want("taken back", Progressing, Pending, "")
				w.pass(30 * time.Second)
			}
			if j := w.look(); !j.Flapping {
				w.t.Error("it is not called flapping")
			}
			w.pass(minutes(60))
			w.want("coming and going is no movement", Stuck, Pending, "")
		},
		"not known in between": func(w *world) {
			w.all(ClientUploaded)
			w.look()
			w.pass(40 * time.Second)
			w.all(Unknown)
			w.look()
			w.pass(40 * time.Second)
			w.all(ClientUploaded)
			w.want("a new series", Progressing, Uploading, "")
			w.pass(minutes(1))
			w.want("a minute of it", Done, ClientUploaded, "")
			w.all(Unknown)
			w.health = Health{}
			w.want("not knowing is nothing against it", Done, ClientUploaded, "")
			w.all(Pending)
			w.want("but being awaited is", Progressing, Pending, "")
		},
		"asleep": func(w *world) {
			w.all(ClientUploaded)
			w.look()
			w.sleep(10 * time.Hour)
			w.want("it slept for ten hours", Progressing, Uploading, "")
			w.pass(minutes(1))
			w.want("and was awake for a minute", Done, ClientUploaded, "")
		},
		"asleep while waiting": func(w *world) {
			w.look()
			w.sleep(100 * time.Hour)
			w.want("sleep is no waiting", Progressing, Pending, "")
			w.now.Wall = w.now.Wall.Add(-300 * time.Hour)
			w.pass(minutes(30))
			w.want("nor is a clock that is set", Progressing, Pending, "")
			w.now.Wall, w.now.Awake = w.now.Wall.Add(minutes(25)), minutes(20) // started again
			w.want("20 minutes after a start", Progressing, Pending, "")
			w.pass(minutes(20))
			w.want("an hour and more in all", Stuck, Pending, "")
		},
		"a file is replaced": func(w *world) {
			w.all(ClientUploaded)
			w.look()
			w.pass(minutes(1))
			w.want("uploaded", Done, ClientUploaded, "")
			w.write("x", "content of a")
			if err := os.Rename(filepath.Join(w.dir, "x"), filepath.Join(w.dir, "a")); err != nil {
				w.t.Fatal(err)
			}
			w.want("another file of the same size", Progressing, Uploading, "")
			w.pass(minutes(1))
			w.want("proven anew", Done, ClientUploaded, "")
			w.write("a", "something else altogether")
			w.want("another size", Unknowable, Unknown, "")
		},
		"a file vanishes": func(w *world) {
			w.all(ClientUploaded)
			w.look()
			w.pass(minutes(1))
			if err := os.Remove(filepath.Join(w.dir, "b")); err != nil {
				w.t.Fatal(err)
			}
			w.want("gone before the second look", Unknowable, Unknown, "")
			w.write("b", "content of b")
			w.want("back", Progressing, Uploading, "")
		},
		"a file changes while it is looked at": func(w *world) {
			w.all(ClientUploaded)
			n := 0
			w.during = func() { n++; w.write("c", "content of "+string(rune('a'+n))) }
			w.want("the first time", Progressing, Unknown, "")
			for range 4 {
				w.pass(minutes(1))
				w.want("each time another", Unknowable, Unknown, "")
			}
		},
		"the cloud has other bytes": func(w *world) {
			w.highest = CloudVerified
			w.answer = func(string) Answer { return Answer{Rung: ClientUploaded, Class: Differs, Detail: "another hash"} }
			w.want("refuted", Blocked, Pending, Differs)
			w.highest = ClientUploaded
			w.all(ClientUploaded)
			w.look()
			w.pass(minutes(5))
			w.want("OneDrive's word does not count against that", Blocked, Pending, Differs)
			w.highest = CloudVerified
			w.all(CloudVerified)
			w.want("until the cloud says otherwise", Done, CloudVerified, "")
			w.highest = ClientUploaded
			w.all(Unknown)
			w.want("which a lesser source does not take away", Done, CloudVerified, "")
		},
		"evicted": func(w *world) {
			// Its content is in the cloud only: name, size, time and inode stay, and so does what was proven.
			w.all(ClientUploaded)
			w.look()
			w.pass(minutes(1))
			w.want("uploaded", Done, ClientUploaded, "")
			fi, err := os.Stat(filepath.Join(w.dir, "a"))
			if err != nil {
				w.t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(w.dir, "a"), 0); err != nil {
				w.t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(w.dir, "a"), fi.Size()); err != nil {
				w.t.Fatal(err)
			}
			if err := os.Chtimes(filepath.Join(w.dir, "a"), fi.ModTime(), fi.ModTime()); err != nil {
				w.t.Fatal(err)
			}
			w.want("evicted", Done, ClientUploaded, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			faults.Inject()
			t.Parallel()
			script(newWorld(t, "a", "b", "c"))
		})
	}
}

// No path leads to done without two claims of a running OneDrive: every sequence of five observations out of all kinds
// is tried, and judged by a second, plainer reading of the rule.
func TestNoProofWithoutEvidence(t *testing.T) {
	print := Fingerprint{SizeBytes: 7, MTimeNS: 1, Inode: 1}
	other := Fingerprint{SizeBytes: 7, MTimeNS: 2, Inode: 1}
	kinds := []Observation{
		{Top: ClientUploaded, Print: print, Answer: Answer{Rung: ClientUploaded}},
		{Top: ClientUploaded, Print: other, Answer: Answer{Rung: ClientUploaded}},
		{Top: ClientUploaded, Print: print, Answer: Answer{Rung: Unknown}},
		{Top: ClientUploaded, Print: print, Answer: Answer{Rung: Pending}},
		{Top: ClientUploaded, Print: print, Answer: Answer{Rung: Pending, Class: Quota}},
		{Top: ClientUploaded, Missing: true},
	}
	steps := []time.Duration{20 * time.Second, 40 * time.Second, Settle}
	const length = 4
	proofs := 0
	var walk func(seq []int, gaps []int)
	walk = func(seq, gaps []int) {
		if len(seq) == length {
			proofs += replay(t, kinds, steps, seq, gaps)
			return
		}
		for k := range kinds {
			for g := range steps {
				walk(append(seq, k), append(gaps, g))
			}
		}
	}
	walk(nil, nil)
	if proofs == 0 {
		t.Error("nothing was ever proven: the test sees nothing")
	}
}

func replay(t *testing.T, kinds []Observation, steps []time.Duration, seq, gaps []int) (proven int) {
	tr := NewTrack(7, "", 0, time.Time{})
	var at []time.Duration
	var now time.Duration
	for i, k := range seq {
		now += steps[gaps[i]]
		at = append(at, now)
		tr.Observe(now, kinds[k])
	}
	if tr.Rung() < ClientUploaded {
		return 0
	}
	// What was proven of: the last claim, and an unbroken row of the same claim before it that spans a minute. After it
	// there may be silence only.
	end := len(seq) - 1
	for end >= 0 && kinds[seq[end]].Rung == Unknown && !kinds[seq[end]].Missing && kinds[seq[end]].Class == "" {
		end--
	}
	for last := end; last >= 0; last-- {
		first := last
		for first > 0 && seq[first-1] == seq[last] {
			first--
		}
		if seq[last] <= 1 && at[last]-at[first] >= Settle {
			return 1
		}
		if seq[last] != 0 && kinds[seq[last]].Rung != Unknown || kinds[seq[last]].Missing {
			break
		}
	}
	t.Errorf("proven by observations %v at %v", seq, at)
	return 1
}

func TestRungText(t *testing.T) {
	for r := Unknown; r <= CloudVerified; r++ {
		b, _ := r.MarshalText()
		var back Rung
		if err := back.UnmarshalText(b); err != nil || back != r {
			t.Errorf("%s: %v %v", b, back, err)
		}
	}
	for _, bad := range []string{"", "uploaded", "CLIENT_UPLOADED", "done"} {
		var r Rung
		if err := r.UnmarshalText([]byte(bad)); err == nil || r != Unknown {
			t.Errorf("%q is read as %s", bad, r)
		}
	}
	if Rung(-1).String() != "unknown" || Rung(99).String() != "unknown" {
		t.Error("a rung that does not exist has a name")
	}
}

func TestClassesHaveRemedies(t *testing.T) {
	for _, c := range Classes() {
		if c.Text() == "" || c.Remedy() == "" {
			t.Errorf("%s says nothing", c)
		}
	}
	if len(Classes()) != len(classes) {
		t.Errorf("%d classes are listed, %d have a text", len(Classes()), len(classes))
	}
}

// A cancelled look is an error, not an observation.
func TestLookCancelled(t *testing.T) {
	w := newWorld(t, "a")
	ctx, cancel := context.WithCancel(t.Context())
	w.during = cancel
	if obs, _, err := Look(ctx, w, w.dir, []string{filepath.Join(w.dir, "a")}); !errors.Is(err, context.Canceled) || obs != nil {
		t.Errorf("%v %v", obs, err)
	}
}

// A link, a folder and a missing file are never asked about: an answer would be about something else.
func TestLookAsksAboutFilesOnly(t *testing.T) {
	w := newWorld(t, "a")
	w.all(ClientUploaded)
	if err := os.Symlink("a", filepath.Join(w.dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(w.dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, n := range []string{"link", "dir", "none"} {
		paths = append(paths, filepath.Join(w.dir, n))
	}
	obs, _, err := Look(t.Context(), w, w.dir, paths)
	if err != nil || w.asked != 0 {
		t.Fatalf("%v, asked %d times", err, w.asked)
	}
	for i, o := range obs {
		if !o.Missing || o.Rung != Unknown {
			t.Errorf("%s: %+v", paths[i], o)
		}
	}
}

// That OneDrive calls a file uploaded counts only if it was seen running: not knowing is not enough.
func TestWordOfWhoMayNotRun(t *testing.T) {
	w := newWorld(t, "a")
	w.all(ClientUploaded)
	for running, want := range map[Tri]Rung{Yes: ClientUploaded, No: Unknown, TriUnknown: Unknown} {
		w.health.Running = running
		obs, _, err := Look(t.Context(), w, w.dir, []string{filepath.Join(w.dir, "a")})
		if err != nil || obs[0].Rung != want {
			t.Errorf("running: %q: %+v, %v, want %s", running, obs, err, want)
		}
	}
}

func TestPlain(t *testing.T) {
	if CanAnswer(Plain{}) || (Plain{}).Health(t.Context()) != (Health{}) {
		t.Error("a plain folder knows something")
	}
	if b, err := TriUnknown.MarshalText(); string(b) != "unknown" || err != nil {
		t.Errorf("%s %v", b, err)
	}
}
