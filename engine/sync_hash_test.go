package engine_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// What cannot be read when it is hashed once more is not damaged: nothing is written down, and the next look tries again,
// once. A file that differs is, until a verification finds the backup whole or the file is published again.
func TestHashedOnceMoreAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := newScripted(r)
	s.all(onedrive.ClientUploaded)
	res := s.backup()
	bad := "chunks/" + repository.ChunkName(res.Manifest.Chunks[0].SHA256)
	s.look()
	s.pass(time.Minute)
	want := func(when string, lines int, uploaded, damaged bool) {
		t.Helper()
		st, err := s.engine().Status()
		if err != nil {
			t.Fatal(err)
		}
		if got := problem(st, engine.CodeDamaged); (got != "") != damaged || damaged && !strings.Contains(got, bad) {
			t.Errorf("%s: damaged: %q", when, got)
		}
		if b := st.OneDrive.Sync.Backup(res.BackupID); (b.Uploaded != nil) != uploaded || len(s.syncLines()) != lines {
			t.Errorf("%s: %+v, %d lines in the history", when, b.Uploaded, len(s.syncLines()))
		}
	}
	for name, script := range map[string]string{
		"not allowed":  `echo '{"path":0,"done":true,"error":"refused","errno":1}'`,
		"vanished":     `echo '{"path":0,"done":true,"error":"gone","errno":2}'`,
		"says nothing": `exit 0`,
	} {
		runs := filepath.Join(t.TempDir(), "runs")
		s.change = func(o *engine.Options) {
			o.Helper = onedrive.Helper{Path: "/bin/sh", Args: []string{"sh", "-c", "cat > /dev/null; echo >> '" + runs + "'; " + script}}
		}
		want(name, 0, false, false)
		if n := strings.Count(string(read(t, runs)), "\n"); n != 1 {
			t.Errorf("%s: hashed %d times in one look", name, n)
		}
	}
	s.change = nil
	whole := read(t, filepath.Join(r.repo(), bad))
	flip(t, filepath.Join(r.repo(), bad), 500)
	want("it changed, and waits", 0, false, false)
	s.pass(time.Minute)
	want("it differs", 1, true, true)
	write(t, filepath.Join(r.repo(), bad), whole)
	want("nobody has verified it", 1, true, true)
	if v, err := s.engine().Verify(t.Context(), engine.VerifyOptions{}); err != nil || !v.OK() {
		t.Fatal(v, err)
	}
	if w := s.ledger().Backups[res.BackupID]; w == nil || w.Uploaded != nil {
		t.Errorf("verified, it is still %+v", w)
	}
	want("the file was changed, and waits", 1, false, false)
	s.pass(time.Minute)
	want("verified, and hashed again", 2, true, false)
}

// A file that differs and is published again is what it was.
func TestDamageEndsWhenPublishedAgain(t *testing.T) {
	t.Parallel()
	b := func(bad ...string) *state.SyncBackup {
		return &state.SyncBackup{Uploaded: &state.Sync{Hash: &state.SyncHash{Bad: bad}}}
	}
	w := b("chunks/a: differs", "chunks/ab: differs")
	w.PublishedAgain([]string{"chunks/b", "chunks/a"})
	if !w.Damaged() || len(w.Uploaded.Hash.Bad) != 1 || w.Uploaded.Hash.Bad[0] != "chunks/ab: differs" {
		t.Errorf("one of two: %+v", w.Uploaded)
	}
	w.PublishedAgain([]string{"chunks/ab"})
	if w.Damaged() || w.Uploaded != nil {
		t.Errorf("both: %+v", w.Uploaded)
	}
	if w = b(); w.Uploaded == nil {
		t.Fatal("no upload")
	}
	if w.PublishedAgain([]string{"chunks/a"}); w.Uploaded == nil {
		t.Error("what was whole is forgotten")
	}

	r := newRig(t)
	s := newScripted(r)
	s.all(onedrive.ClientUploaded)
	res := s.backup()
	s.look()
	bad := filepath.Join(r.repo(), "chunks", repository.ChunkName(res.Manifest.Chunks[0].SHA256))
	flip(t, bad, 500)
	s.pass(time.Minute)
	s.look() // the file has changed
	s.pass(time.Minute)
	s.look()
	if !s.ledger().Backups[res.BackupID].Damaged() {
		t.Fatal("it is not damaged")
	}
	remove(t, bad)
	s.backup()
	if s.ledger().Backups[res.BackupID].Damaged() {
		t.Error("published again, it is damaged")
	}
}

// silent does not answer before it is told to give up.
type silent struct{ *scripted }

func (s silent) Observe(ctx context.Context, _ []string) ([]onedrive.Answer, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// In the status, whoever does not answer has said nothing, and a backup whose hashing takes too long is uploaded all the same.
// The time is the test's own.
func TestStatusHasTimeLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := newScripted(r)
	s.all(onedrive.ClientUploaded)
	res := s.backup()
	s.look()
	s.pass(time.Minute)
	status := func(change func(*engine.Options)) *engine.Status {
		t.Helper()
		s.change = change
		e := s.engine()
		s.change = nil
		var st *engine.Status
		var err error
		synctest.Test(t, func(*testing.T) { st, err = e.Status() })
		if err != nil || st.OneDrive.Sync == nil {
			t.Fatalf("%v %+v", err, st.Problems)
		}
		return st
	}
	st := status(func(o *engine.Options) { o.Provider = func(string) onedrive.Provider { return silent{s} } })
	if b := st.OneDrive.Sync.Backup(res.BackupID); b.Waiting != b.Files || b.Verdict == onedrive.Done {
		t.Errorf("not answered: %+v", b)
	}
	s.look()
	s.pass(time.Minute)
	slept := false
	st = status(func(o *engine.Options) {
		asked := len(s.asked)
		o.Evicted = func(string) bool {
			if !slept && len(s.asked) > asked { // only hashing asks after the look
				slept = true
				time.Sleep(time.Hour)
			}
			return false
		}
	})
	if b := st.OneDrive.Sync.Backup(res.BackupID); !slept || b.Verdict != onedrive.Done || b.Uploaded != nil {
		t.Errorf("slept %v: %+v", slept, b)
	}
	if b := s.look().Backup(res.BackupID); b.Uploaded == nil || b.Uploaded.Hash == nil {
		t.Errorf("the next look: %+v", b)
	}
}
