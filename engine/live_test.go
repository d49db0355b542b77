package engine_test

import (
	"path/filepath"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/fixture"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

// TestLiveDatabases backs up twenty times while two programs never cease to write, one in WAL mode and one with a
// rollback journal: every copy is of one moment, and the writers go on.
func TestLiveDatabases(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "14")
	r := newRig(t)
	r.config.Retention = keepTwo
	const bank = "claude/data/bank.db"
	for _, dir := range []string{"agents", "commands", "context", "tools"} { // they rest
		remove(t, filepath.Join(r.fix.Root, "claude", dir))
	}
	makeBank(t, filepath.Join(r.fix.Root, bank))
	tickets := start(t, orders{Mac: r.mac(), Verb: "tickets"})
	transfers := start(t, orders{Verb: "bank", Path: filepath.Join(r.fix.Root, bank)})
	for _, c := range []*child{tickets, transfers} {
		c.ready(t)
	}
	ways := map[string]int{}
	r.clock = time.Now().Add(24 * time.Hour)
	for range 20 {
		faults.Inject()
		res, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true})
		if err != nil {
			t.Fatal(err)
		}
		r.clock = r.clock.Add(time.Hour)
		for _, w := range res.Warnings {
			if w.Path == fixture.TicketDB || w.Path == bank {
				t.Errorf("%s: %s: %s", w.Path, w.Code, w.Text)
			}
		}
		for _, db := range liveDatabases(res.Manifest, bank) {
			ways[string(db.Path)+" "+db.Facts.Way]++
			if db.Facts.CheckResult != "ok" {
				t.Errorf("%s: %+v", db.Path, db.Facts)
			}
		}
		to := filepath.Join(t.TempDir(), "to")
		got, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: res.BackupID, To: to, Paths: []string{fixture.TicketDB, bank}})
		if err != nil || got.Restored != 2 || got.Databases != 2 || len(got.Failed)+len(got.Doubtful) > 0 {
			t.Fatalf("restore: %+v, %v", got, err)
		}
		if err := fixture.CheckTickets(t.Context(), filepath.Join(to, fixture.TicketDB)); err != nil {
			t.Errorf("%s: %v", res.BackupID, err)
		}
		if err := checkBank(filepath.Join(to, bank)); err != nil {
			t.Errorf("%s: %v", res.BackupID, err)
		}
	}
	for name, c := range map[string]*child{"tickets": tickets, "bank": transfers} {
		if err := c.stdin.Close(); err != nil {
			t.Error(err)
		}
		a, lived, said := c.wait(t)
		if !lived || a.Code != "" || a.Steps < 20 {
			t.Errorf("the writer of %s: %+v %s", name, a, said)
		}
		t.Logf("%s: %d transactions meanwhile", name, a.Steps)
	}
	t.Logf("ways: %v", ways)
	if ways[fixture.TicketDB+" wal"] == 0 || ways[bank+" copy"] == 0 {
		t.Error("the databases were not in use when they were captured")
	}
	r.verifyAll()
	// Nothing but the writers' own files lies beside the databases.
	for _, e := range entries(t, filepath.Join(r.fix.Root, "claude/data")) {
		if m, _ := filepath.Match("bank.db?*", e.Name()); m {
			t.Errorf("%s lies beside the source", e.Name())
		}
	}
}

func liveDatabases(m *repository.Manifest, bank repository.Name) []repository.Database {
	var out []repository.Database
	for _, c := range m.Components {
		for _, db := range c.Databases {
			if db.Path == fixture.TicketDB || db.Path == bank {
				out = append(out, db)
			}
		}
	}
	return out
}
