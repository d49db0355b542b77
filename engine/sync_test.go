package engine_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/packaging/ci/faults/matrix"
)

// scripted is a source over the real folder that answers what the test says, with a clock of awake time.
type scripted struct {
	r       *rig
	awake   time.Duration
	highest onedrive.Rung
	answer  func(name string) onedrive.Answer
	health  onedrive.Health
	asked   []string
	// tick runs after each wait.
	tick func()
	// change changes the options of the next engines; nil: nothing does.
	change func(*engine.Options)
}

func newScripted(r *rig) *scripted {
	s := &scripted{r: r, awake: time.Hour, highest: onedrive.ClientUploaded, health: onedrive.Health{Running: onedrive.Yes, SignedIn: onedrive.Yes}}
	s.all(onedrive.Pending)
	return s
}

func (s *scripted) all(rung onedrive.Rung) {
	s.answer = func(string) onedrive.Answer { return onedrive.Answer{Rung: rung} }
}

func (s *scripted) Name() string                           { return "scripted" }
func (s *scripted) Highest() onedrive.Rung                 { return s.highest }
func (s *scripted) Health(context.Context) onedrive.Health { return s.health }

func (s *scripted) Observe(_ context.Context, paths []string) ([]onedrive.Answer, error) {
	out := make([]onedrive.Answer, len(paths))
	for i, p := range paths {
		rel, err := filepath.Rel(s.r.repo(), p)
		if err != nil {
			return nil, err
		}
		s.asked = append(s.asked, rel)
		out[i] = s.answer(rel)
	}
	return out, nil
}

func (s *scripted) pass(d time.Duration) {
	s.awake += d
	s.r.clock = s.r.clock.Add(d)
}

// engine is a new process on the rig's machine that asks this source.
func (s *scripted) engine() *engine.Engine {
	m := s.r.mac()
	return m.engineOf(func(env *engine.Env) {
		env.Awake = func() time.Duration { return s.awake }
		env.Sleep = func(ctx context.Context, d time.Duration) error {
			s.pass(d)
			if s.tick != nil {
				s.tick()
			}
			return ctx.Err()
		}
	}, func(o *engine.Options) {
		o.FS, o.Sink = s.r.fsys, s.r.sink
		o.Provider = func(string) onedrive.Provider { return s }
		if s.change != nil {
			s.change(o)
		}
	}, s.r.now())
}

func (s *scripted) backup() *engine.BackupResult {
	s.r.t.Helper()
	res, err := s.engine().Backup(s.r.t.Context(), engine.BackupOptions{NoVault: true})
	if err != nil {
		s.r.t.Fatalf("backup: %v", err)
	}
	s.pass(time.Minute)
	return res
}

func (s *scripted) look() *engine.SyncStatus {
	s.r.t.Helper()
	st, err := s.engine().Sync(s.r.t.Context())
	if err != nil || st == nil {
		s.r.t.Fatalf("look: %v, %v", st, err)
	}
	return st
}

func (s *scripted) ledger() *state.Ledger {
	s.r.t.Helper()
	d := state.Dir{Path: s.r.state}
	id, err := d.PeekIdentity()
	if err != nil {
		s.r.t.Fatal(err)
	}
	l, err := d.LoadLedger(id.RepositoryID, id.OneDrivePath, onedrive.Moment{})
	if err != nil {
		s.r.t.Fatal(err)
	}
	return l
}

func (s *scripted) syncLines() []state.HistoryEntry {
	s.r.t.Helper()
	h, err := (state.Dir{Path: s.r.state}).History()
	if err != nil {
		s.r.t.Fatal(err)
	}
	return slices.DeleteFunc(h, func(e state.HistoryEntry) bool { return e.Kind != "sync" })
}

// The watching of two backups over several processes: waiting that ends, a slow and a stuck upload, what both share, and
// what is written down in the end.
func TestWatching(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "28")
	r := newRig(t)
	s := newScripted(r)
	first := s.backup()
	if first.SyncState != "pending" {
		t.Errorf("just published, it is %s", first.SyncState)
	}
	// The wait ends at its limit, however long OneDrive takes.
	began := s.awake
	st, err := s.engine().WaitForSync(t.Context(), first.BackupID, 5*time.Minute)
	if err != nil || st.Backup(first.BackupID).Verdict != onedrive.Progressing || s.awake-began != 5*time.Minute {
		t.Fatalf("waited %s: %+v %v", s.awake-began, st, err)
	}
	// The next process carries on. First the chunks get there, later the rest.
	chunks := func(name string) onedrive.Answer {
		if strings.HasPrefix(name, "chunks/") {
			return onedrive.Answer{Rung: onedrive.ClientUploaded}
		}
		return onedrive.Answer{Rung: onedrive.Pending}
	}
	s.answer = chunks
	s.look()
	s.pass(time.Minute)
	if b := s.look().Backup(first.BackupID); b.Rung != onedrive.Pending || b.Waiting == 0 || b.Waiting == b.Files {
		t.Errorf("%+v", b)
	}
	s.pass(time.Hour)
	status, err := s.engine().Status()
	if err != nil || problem(status, "sync_stuck") == "" || status.OneDrive.State != "pending" || status.Light != engine.LightAttention {
		t.Errorf("an hour without movement: %v %+v", err, status.Problems)
	}

	// A second backup refers to chunks of the first, and to new ones.
	r.day(1)
	s.all(onedrive.ClientUploaded)
	second := s.backup()
	if second.NewChunks == 0 {
		t.Fatal("the day brought no chunk")
	}
	news := map[string]bool{}
	for _, c := range second.Manifest.Chunks {
		name := "chunks/" + repository.ChunkName(c.SHA256)
		if s.ledger().Files[name].Backup == second.BackupID {
			news[name] = true
		}
	}
	old := "chunks/" + repository.ChunkName(first.Manifest.Chunks[0].SHA256)
	s.answer = func(name string) onedrive.Answer {
		if name == old {
			return onedrive.Answer{Rung: onedrive.Uploading}
		}
		return onedrive.Answer{Rung: onedrive.ClientUploaded}
	}
	s.look()
	s.pass(time.Minute)
	for _, id := range []string{first.BackupID, second.BackupID} {
		if b := s.look().Backup(id); b.Rung != onedrive.Uploading || b.Waiting != 1 {
			t.Errorf("with an old chunk on its way, %s is %s, %d wait", id, b.Rung, b.Waiting)
		}
	}
	if len(s.syncLines()) != 0 {
		t.Error("an upload is written down that has not ended")
	}
	s.all(onedrive.ClientUploaded)
	n := 0
	s.tick = func() { n++ }
	st, err = s.engine().WaitForSync(t.Context(), second.BackupID, 5*time.Minute)
	if err != nil || st.Backup(second.BackupID).Verdict != onedrive.Done || st.Backup(first.BackupID).Rung != onedrive.ClientUploaded || n == 0 || n > 20 {
		t.Errorf("after %d looks: %+v %v", n, st, err)
	}
	lines := s.syncLines()
	if len(lines) != 2 {
		t.Fatalf("%d lines in the history", len(lines))
	}
	for _, h := range lines {
		u := h.Sync
		if h.Result != repository.StatusCompleted || u.Rung != onedrive.ClientUploaded || u.Seconds <= 0 || u.AtLeastSeconds > u.Seconds || u.Hash.Files == 0 || len(u.Hash.Bad) > 0 || u.Hash.Evicted != 0 {
			t.Errorf("%+v", u)
		}
		if h.BackupID == second.BackupID && len(u.Chunks) != len(news) {
			t.Errorf("%d new chunks have a time, %d are new", len(u.Chunks), len(news))
		}
	}
	// Once written down, it is not written again, and only the newest backup is still looked at.
	s.asked = nil
	s.look()
	if len(s.syncLines()) != 2 {
		t.Error("written down twice")
	}
	for _, name := range s.asked {
		if strings.HasPrefix(name, first.BackupID) {
			t.Errorf("%s is asked about, though it was proven", name)
		}
	}
	status, err = s.engine().Status()
	if err != nil || status.OneDrive.State != "client_uploaded" || status.Light == engine.LightGreen {
		t.Errorf("not green before a full drill: %v %s %s %+v", err, status.OneDrive.State, status.Light, status.Problems)
	}
}

// A published file that vanished is published again, and waits again.
func TestVanishedFilesWaitAgain(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "28", "31a")
	r := newRig(t)
	s := newScripted(r)
	s.all(onedrive.ClientUploaded)
	first := s.backup()
	s.look()
	s.pass(time.Minute)
	if b := s.look().Backup(first.BackupID); b.Verdict != onedrive.Done {
		t.Fatalf("%+v", b)
	}
	gone := "chunks/" + repository.ChunkName(first.Manifest.Chunks[0].SHA256)
	remove(t, filepath.Join(r.repo(), gone))
	if b := s.look().Backup(first.BackupID); b.Rung != onedrive.Unknown || b.Verdict == onedrive.Done {
		t.Errorf("with a chunk missing: %+v", b)
	}
	s.pass(time.Hour)
	s.backup()
	l := s.ledger()
	if tr := l.Files[gone]; tr == nil || tr.Rung() >= onedrive.ClientUploaded || l.Odometer-tr.Published > 2*time.Minute {
		t.Errorf("published again, it is %+v", tr)
	}
	if b := s.look().Backup(first.BackupID); b.Rung != onedrive.Uploading {
		t.Errorf("%+v", b)
	}
}

// Blocked is told at once, and ends the waiting.
func TestBlockedEndsTheWait(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "28")
	r := newRig(t)
	s := newScripted(r)
	res := s.backup()
	s.answer = func(string) onedrive.Answer {
		return onedrive.Answer{Rung: onedrive.Pending, Class: onedrive.Quota, Detail: "code -1"}
	}
	began := s.awake
	st, err := s.engine().WaitForSync(t.Context(), res.BackupID, 5*time.Minute)
	if err != nil || st.Backup(res.BackupID).Class != onedrive.Quota || s.awake != began {
		t.Errorf("waited %s: %+v %v", s.awake-began, st, err)
	}
	status, err := s.engine().Status()
	if p := problem(status, "sync_blocked"); err != nil || !strings.Contains(p, "full") || !strings.Contains(p, "code -1") || !strings.Contains(p, onedrive.Quota.Remedy()) {
		t.Errorf("%v %q", err, p)
	}
}

// On a plain folder nobody is waited for, and nothing is called late, or green.
func TestPlainFolderIsLocalOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := newScripted(r)
	s.highest = onedrive.LocalOnly
	s.all(onedrive.CloudVerified)
	res := s.backup()
	began := s.awake
	st, err := s.engine().WaitForSync(t.Context(), res.BackupID, 5*time.Minute)
	if err != nil || st.CanAnswer || s.awake != began || st.Backup(res.BackupID).Rung != onedrive.LocalOnly || res.SyncState != "local_only" {
		t.Errorf("waited %s: %+v %v", s.awake-began, st, err)
	}
	s.pass(10 * time.Hour)
	if _, err := s.engine().Drill(t.Context(), engine.DrillOptions{}); err != nil {
		t.Fatal(err)
	}
	status, err := s.engine().Status()
	if err != nil || status.OneDrive.State != "local_only" || status.Light == engine.LightGreen || problem(status, "sync_unknown") != "" {
		t.Errorf("%v %s %s %+v", err, status.OneDrive.State, status.Light, status.Problems)
	}
}

// Green needs everything: uploaded, or young; drilled; no problem.
func TestGreen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := newScripted(r)
	// What looks like a secret in the sample is a problem of its own.
	r.removeLikelySecrets()
	s.all(onedrive.ClientUploaded)
	s.backup()
	want := func(when, light string) {
		t.Helper()
		st, err := s.engine().Status()
		if err != nil || st.Light != light {
			t.Errorf("%s: %s, %v, %+v", when, st.Light, err, st.Problems)
		}
	}
	want("never drilled", engine.LightNeutral)
	if _, err := s.engine().Drill(t.Context(), engine.DrillOptions{}); err != nil {
		t.Fatal(err)
	}
	want("young", engine.LightGreen)
	s.pass(time.Minute)
	want("uploaded", engine.LightGreen)
	r.day(1)
	r.removeLikelySecrets()
	s.backup()
	s.pass(time.Minute)
	want("two of them", engine.LightGreen)
	// Older backups that are uploaded say nothing of the newest.
	ids, err := (repository.Repo{Dir: r.mirror()}).List()
	if err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(r.mirror(), slices.Max(ids.IDs()), repository.ManifestName)
	body := read(t, manifest)
	remove(t, manifest)
	want("the newest is not watched", engine.LightNeutral)
	write(t, manifest, body)
	want("watched again", engine.LightGreen)
	s.pass(time.Minute)
	want("and uploaded", engine.LightGreen)
	s.all(onedrive.Unknown)
	s.health = onedrive.Health{}
	want("nothing is known now, but nothing changed", engine.LightGreen)
	remove(t, (state.Dir{Path: r.state}).SyncLedger())
	want("nothing is known at all", engine.LightNeutral)
	s.pass(61 * time.Minute)
	want("for an hour", engine.LightAttention)
}

// A ledger that is damaged or a newer program's is an error with a way out, never an empty one. The backup is made, and
// says so.
func TestDamagedLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := newScripted(r)
	s.backup()
	path := (state.Dir{Path: r.state}).SyncLedger()
	whole := read(t, path)
	for name, content := range map[string][]byte{
		"cut off": whole[:len(whole)/2], "empty": {}, "zeros": make([]byte, 100), "another thing": []byte("{}"), "no files": []byte(`{"version":1,"backups":{}}`),
		"a rung nobody knows": bytes.Replace(whole, []byte(`"last": "unknown"`), []byte(`"last": "surely_uploaded"`), 1),
		"proven by nothing":   bytes.Replace(whole, []byte(`"proven": "unknown"`), []byte(`"proven": "client_uploaded"`), 1),
		"a newer version":     bytes.Replace(whole, []byte(`"version": 1`), []byte(`"version": 2`), 1),
	} {
		if bytes.Equal(content, whole) {
			t.Fatalf("%s: nothing was changed", name)
		}
		write(t, path, content)
		_, err := s.engine().Sync(t.Context())
		var known *engine.Error
		if !errors.As(err, &known) || known.Code != engine.CodeLedger || !errors.Is(err, state.ErrLedger) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if wantHint := map[bool]string{true: "newest maia-dr", false: "remove that file"}[name == "a newer version"]; !strings.Contains(known.Advice(), wantHint) {
			t.Errorf("%s: %s", name, known.Advice())
		}
		st, err := s.engine().Status()
		if err != nil || problem(st, engine.CodeLedger) == "" || st.OneDrive.State != "unknown" {
			t.Errorf("%s: status %v %+v", name, err, st)
		}
		if !bytes.Equal(read(t, path), content) {
			t.Errorf("%s: it was replaced", name)
		}
	}
	res := s.backup()
	if !slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool { return w.Code == "sync_ledger" && w.Hint != "" }) {
		t.Errorf("the backup says nothing: %+v", res.Warnings)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if b := s.look().Backup(res.BackupID); b.Verdict != onedrive.Progressing || b.Waiting != b.Files {
		t.Errorf("begun anew: %+v", b)
	}
}

// Local files that changed after the upload are found when they are hashed once more; evicted ones are not read.
func TestHashedOnceMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := newScripted(r)
	res := s.backup()
	s.all(onedrive.ClientUploaded)
	s.look()
	bad := "chunks/" + repository.ChunkName(res.Manifest.Chunks[0].SHA256)
	flip(t, filepath.Join(r.repo(), bad), 500)
	s.pass(time.Minute)
	s.look()
	s.pass(time.Minute)
	s.look()
	lines := s.syncLines()
	if len(lines) != 1 || lines[0].Result != "damaged" || len(lines[0].Sync.Hash.Bad) != 1 || !strings.HasPrefix(lines[0].Sync.Hash.Bad[0], bad) {
		t.Fatalf("%+v", lines)
	}
	if st, err := s.engine().Status(); err != nil || !strings.Contains(problem(st, engine.CodeDamaged), bad) {
		t.Errorf("%v", err)
	}
}

// Among all backups, the newest that is uploaded in full stays, whatever the calendar says.
func TestRetentionKeepsTheUploaded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config.Retention.Daily, r.config.Retention.Weekly, r.config.Retention.Monthly = 1, 0, 0
	s := newScripted(r)
	s.all(onedrive.ClientUploaded)
	first := s.backup()
	s.look()
	s.pass(time.Minute)
	s.look()
	s.all(onedrive.Pending)
	for n := 1; n <= 4; n++ {
		r.day(n)
		s.pass(24 * time.Hour)
		s.backup()
	}
	l, err := s.engine().List()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, b := range l.Backups {
		ids = append(ids, b.BackupID)
	}
	if !slices.Contains(ids, first.BackupID) || len(ids) > 4 {
		t.Errorf("kept: %v, uploaded was %s", ids, first.BackupID)
	}
}
