package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/engine/fsx"
	"maia-dr/engine/state"
	"maia-dr/packaging/ci/faults/matrix"
)

// atOnce starts children behind a gate and opens it when all wait there.
func atOnce(t *testing.T, all []orders) []*child {
	t.Helper()
	children := make([]*child, len(all))
	for i, o := range all {
		o.Gate = true
		children[i] = start(t, o)
	}
	for _, c := range children {
		if err := c.stdin.Close(); err != nil {
			t.Error(err)
		}
	}
	return children
}

// TestTwentyAtOnce: of twenty command lines one runs at a time, and the others say so.
func TestTwentyAtOnce(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 20, "10")
	r := newRig(t)
	r.hardware = engine.SystemEnv().HardwareID()
	args := []string{"backup", "--no-vault", "--home", r.fix.Home, "--maia-root", r.fix.Root, "--onedrive-path", r.fix.OneDrive, "--state-dir", r.state}
	all := make([]orders, 20)
	for i := range all {
		all[i] = orders{Args: args}
	}
	codes := map[int]int{}
	for _, c := range atOnce(t, all) {
		if _, err := io.Copy(io.Discard, c.stdout); err != nil {
			t.Error(err)
		}
		if err := c.cmd.Wait(); err != nil && c.cmd.ProcessState.ExitCode() < 0 {
			t.Error(err)
		}
		code := c.cmd.ProcessState.ExitCode()
		codes[code]++
		if said := c.stderr.String(); code == cli.ExitBusy && !strings.Contains(said, "what to do: ") {
			t.Errorf("exit %d without a word on what to do: %q", code, said)
		}
	}
	// ExitIncomplete: the sample has things to warn about.
	done := codes[cli.ExitDone] + codes[cli.ExitIncomplete]
	if done == 0 || codes[cli.ExitBusy] == 0 || done+codes[cli.ExitBusy] != len(all) {
		t.Errorf("exit codes and how often: %v", codes)
	}
	t.Logf("%d ran, one after another, %d were told to wait", done, codes[cli.ExitBusy])
	r.clock = time.Now()
	if v := r.verifyAll(); len(v.Backups) != done {
		t.Errorf("%d backups, %d runs succeeded", len(v.Backups), done)
	}
	r.oneAfterAnother(done)
	r.clock = time.Now()
	r.backup()
	r.verifyAll()
}

// oneAfterAnother reads in the history that no run began before the one before it had ended.
func (r *rig) oneAfterAnother(backups int) {
	r.t.Helper()
	history, err := r.engine().State().History()
	if err != nil {
		r.t.Fatal(err)
	}
	slices.SortFunc(history, func(a, b state.HistoryEntry) int { return a.Time.Compare(b.Time) })
	count := 0
	for i, h := range history {
		if h.Kind == "backup" {
			count++
		}
		began := h.Time.Add(-time.Duration(h.Seconds * float64(time.Second))).Add(time.Millisecond)
		if i > 0 && began.Before(history[i-1].Time) {
			r.t.Errorf("%s began %v, while %s ran until %v", h.Kind, began, history[i-1].Kind, history[i-1].Time)
		}
	}
	if count < backups {
		r.t.Errorf("the history has %d backups, %d ran", count, backups)
	}
}

// TestVerbsAtOnce: backup, verify, prune, drill and restore beside each other either run or say that another one does, and
// whatever runs is right.
func TestVerbsAtOnce(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "10")
	r := newRig(t)
	r.clock = time.Now().Add(24 * time.Hour)
	first := r.backup().Manifest
	r.config.Retention = keepTwo
	r.day(1)
	r.backup()
	done := map[string]int{}
	for round := range 4 {
		faults.Inject()
		r.day(2 + round)
		r.clock = r.clock.Add(24 * time.Hour)
		var all []orders
		for i, verb := range []string{"backup", "verify", "prune", "restore", "backup", "drill", "prune", "restore"} {
			all = append(all, orders{
				Mac: r.mac(), Verb: verb, Clock: true, Backup: "latest", To: filepath.Join(r.base, fmt.Sprintf("to-%d-%d", round, i)),
			})
		}
		for i, c := range atOnce(t, all) {
			a, lived, said := c.wait(t)
			switch {
			case !lived:
				t.Fatalf("%s died: %s", all[i].Verb, said)
			case a.Code == "":
				done[all[i].Verb]++
			case a.Code != engine.CodeBusy:
				t.Errorf("%s: %s: %s", all[i].Verb, a.Code, a.Error)
			}
		}
		r.unlocked()
	}
	t.Logf("done: %v", done)
	if len(done) == 0 {
		t.Error("nothing ran")
	}
	r.clock = r.clock.Add(24 * time.Hour)
	r.recovered(true)
	if _, err := r.engine().Show(first.BackupID, false); engine.CodeOf(err) != engine.CodeUnknownBackup {
		t.Errorf("the first backup should have been pruned: %v", err)
	}
}

// TestBesideARun: while a backup is publishing, reading works, writing is told to wait, and cancelling leaves nothing
// half done.
func TestBesideARun(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "10")
	r := newRig(t)
	r.clock = time.Now().Add(24 * time.Hour)
	r.config.Retention = keepTwo
	first := r.backup()
	r.day(1)
	before := r.scene()
	reached, release := make(chan struct{}), make(chan struct{})
	blocked := false
	f := func(op fsx.Op, _ string) error {
		if op == fsx.OpClone && !blocked {
			blocked = true
			close(reached)
			<-release
		}
		return nil
	}
	r.fault.Store(&f)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	// Its own engine and clock: the rig goes on beside it.
	e := r.engine()
	go func() {
		_, err := e.Backup(ctx, engine.BackupOptions{NoVault: true})
		ended <- err
	}()
	select {
	case <-reached:
	case err := <-ended:
		t.Fatalf("it ended without publishing anything: %v", err)
	}
	other := r.mac().engine(func() time.Time { return r.clock }, nil, nil)
	if st, err := other.Status(); err != nil || st.Activity != state.Running || st.Run.Kind != "backup" || st.Run.Phase == "" {
		t.Errorf("status: %+v, %v", st, err)
	}
	if l, err := other.List(); err != nil || len(l.Backups) != 2 || l.Backups[0].State != engine.StateLocalOnly || l.Backups[1].State != engine.StateComplete {
		t.Errorf("list: %+v, %v", l, err)
	}
	to := filepath.Join(r.base, "to")
	if res, err := other.Restore(t.Context(), engine.RestoreOptions{Backup: first.BackupID, To: to, DryRun: true}); err != nil || res.Plan.Files == 0 {
		t.Errorf("the plan of a restore: %+v, %v", res, err)
	}
	for name, verb := range map[string]func() error{
		"backup":  func() error { _, err := other.Backup(t.Context(), engine.BackupOptions{}); return err },
		"verify":  func() error { _, err := other.Verify(t.Context(), engine.VerifyOptions{}); return err },
		"prune":   func() error { _, err := other.Prune(t.Context(), engine.PruneOptions{}); return err },
		"restore": func() error { _, err := other.Restore(t.Context(), engine.RestoreOptions{To: to}); return err },
	} {
		if err := verb(); engine.CodeOf(err) != engine.CodeBusy {
			t.Errorf("%s beside a backup: %v", name, err)
		}
	}
	cancel()
	close(release)
	if err := <-ended; engine.CodeOf(err) != engine.CodeCancelled {
		t.Errorf("the cancelled backup: %v", err)
	}
	r.fault.Store(nil)
	r.survived(before)
	r.clock = r.clock.Add(time.Hour)
	r.recovered(true)
}

// TestPrunedWhileAsked: a prune that ends while the user looks at the plan of a restore takes the backup away. The
// restore says so, and nothing in the target has been touched.
func TestPrunedWhileAsked(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "10")
	r := newRig(t)
	gone := r.backup().BackupID
	for n := range 3 {
		r.day(n + 1)
		r.backup()
	}
	r.config.Retention = keepTwo
	to := filepath.Join(r.base, "to")
	mkdir(t, to)
	write(t, filepath.Join(to, "CLAUDE.md"), []byte("mine"))
	before := contents(t, to)
	_, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: gone, To: to, Confirm: func(*engine.RestorePlan) (bool, error) {
		res, err := r.engine().Prune(t.Context(), engine.PruneOptions{})
		if err != nil || !slices.Contains(res.Removed, gone) {
			t.Errorf("%+v, %v", res, err)
		}
		return true, nil
	}})
	var known *engine.Error
	if !errors.As(err, &known) || known.Code == engine.CodeFailed || known.Advice() == "" {
		t.Errorf("the backup is gone, and the restore says %v", err)
	}
	sameMaps(t, "the target", before, contents(t, to))
	r.unlocked()
}
