package engine_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/engine/vault"
	"maia-dr/packaging/ci/faults/matrix"
)

// leastSabotages is how many ways to break a backup there have to be (FAULTS.md, row 34).
const leastSabotages = 30

// victim is a copy of a repository with two backups, to break the newer one in. m and files are what it says.
type victim struct {
	*forge
	// old is the id of the older backup; keys are for what is signed anew; p is the password.
	old  string
	keys *vault.Keys
	p    vault.Password
}

// sabotage is one way to break a backup. It returns what the drill has to name.
type sabotage struct {
	name  string
	apply func(v *victim) (names string)
}

// TestSabotage: whatever is done to a backup, a full drill finds it, and names it; the mirror, in which the backup is
// whole, does not help it.
func TestSabotage(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "34")
	all := slices.Concat(sabotagedFolder, sabotagedChunks, sabotagedReplays, forgedLists, forgedStreams, forgedAgents, forgedSecrets)
	if len(all) < leastSabotages {
		t.Fatalf("%d sabotages, want at least %d", len(all), leastSabotages)
	}
	whole, p := newRig(t), password(t, testPassword)
	keys, err := vault.NewKeys(p, vault.Iterations, bytes.NewReader([]byte("saltsaltMACsalt.")))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for n := range 2 {
		e := whole.mac().engineWith(func(o *engine.Options) {
			o.Run, o.Password = brewOnly, func(context.Context) (vault.Password, error) { return p, nil }
		}, whole.now())
		res, err := e.Backup(t.Context(), engine.BackupOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, res.BackupID)
		whole.clock = whole.clock.AddDate(0, 0, 1)
		whole.day(n + 1)
		// Rows are counted of a database that is new.
		makeDatabase(t, filepath.Join(whole.fix.Root, fmt.Sprintf("claude/data/new-%d.db", n)))
	}
	copied := func(t *testing.T) *victim {
		t.Helper()
		base := t.TempDir()
		fix := *whole.fix
		fix.OneDrive = filepath.Join(base, "onedrive")
		mkdir(t, fix.OneDrive)
		r := rigOn(t, base, &fix)
		r.clock = whole.clock
		copyTree(t, whole.state, r.state)
		copyTree(t, whole.repo(), r.repo())
		v := &victim{forge: &forge{rig: r}, old: ids[0], keys: keys, p: p}
		repo := repository.Repo{Dir: r.repo()}
		var err error
		if v.m, _, err = repo.ReadManifest(ids[1]); err != nil {
			t.Fatal(err)
		}
		if v.files, err = repo.ReadFiles(v.m); err != nil {
			t.Fatal(err)
		}
		return v
	}
	found := make([]bool, len(all))
	tried := 0
	t.Run("each", func(t *testing.T) {
		t.Run("none", func(t *testing.T) {
			t.Parallel()
			v := copied(t)
			if res := v.rehearsed(); !res.Passed || res.Vault != state.VaultOpened || res.Databases == 0 {
				t.Errorf("%+v", res)
			}
		})
		t.Run("all is written anew", func(t *testing.T) {
			t.Parallel()
			v := copied(t)
			v.agents(func(_ *repository.File, body []byte) ([]byte, bool) { return body, true }, nil)
			v.code(func(raw []byte) []byte { return raw })
			v.large(func(raw []byte) []byte { return raw })
			v.vault(v.keys, func(*vault.Contents) {})
			v.consistent(v.keys)
			if res := v.rehearsed(); !res.Passed || res.Vault != state.VaultOpened {
				t.Errorf("what is forged well is no sabotage: %q", res.Problems)
			}
		})
		for i, s := range all {
			if !matrix.Full() && uint64(i)%2 != killSeed%2 {
				continue // today the others
			}
			tried++
			t.Run(s.name, func(t *testing.T) {
				faults.Inject()
				t.Parallel()
				v := copied(t)
				before := snapshotTree(t, v.repo())
				names := s.apply(v)
				if after := snapshotTree(t, v.repo()); fmt.Sprint(before) == fmt.Sprint(after) {
					t.Fatal("nothing was broken")
				}
				res := v.rehearsed()
				found[i] = !res.Passed && slices.ContainsFunc(res.Problems, func(p string) bool { return strings.Contains(p, names) })
				if !found[i] {
					t.Errorf("passed: %v; none of the problems names %q: %q", res.Passed, names, res.Problems)
				}
			})
		}
	})
	n := 0
	for _, ok := range found {
		if ok {
			n++
		}
	}
	t.Logf("%d of %d sabotages, %d found", tried, len(all), n)
	if p.Derivations() > 10 {
		t.Errorf("%d keys were derived: they are not remembered", p.Derivations())
	}
}

// rehearsed is a full drill. A backup that is broken is a result, and no error; nothing is left of it.
func (v *victim) rehearsed() *engine.DrillResult {
	v.t.Helper()
	res, err := v.engine().Drill(v.t.Context(), engine.DrillOptions{Password: func(_ context.Context, _, wrong int) (vault.Password, error) {
		if wrong > 0 {
			return vault.Password{}, engine.ErrNoPassword
		}
		return v.p, nil
	}})
	if err != nil {
		v.t.Fatalf("the drill finds nothing out: %v", err)
	}
	if left := entries(v.t, filepath.Join(v.state, "scratch")); len(left) > 0 {
		v.t.Errorf("%s was left in the scratch", left[0].Name())
	}
	return res
}

// path is where a file of the backup's folder lies.
func (v *victim) path(name string) string { return filepath.Join(v.repo(), v.m.BackupID, name) }

func (v *victim) chunkPath(n int) string {
	return filepath.Join(v.repo(), repository.ChunksDir, repository.ChunkName(v.m.Chunks[n].SHA256))
}

// vault seals the vault's contents anew.
func (v *victim) vault(keys *vault.Keys, change func(*vault.Contents)) {
	v.t.Helper()
	plain, err := vault.Open(v.p, vault.Iterations, read(v.t, v.path(repository.VaultName)))
	if err != nil {
		v.t.Fatal(err)
	}
	c, err := vault.Decode(plain, v.m.BackupID)
	if err != nil {
		v.t.Fatal(err)
	}
	change(c)
	if plain, err = c.Encode(); err != nil {
		v.t.Fatal(err)
	}
	v.put(repository.VaultName, keys.Seal(plain))
}

// counted returns a small database of which the manifest knows the rows, and its largest table.
func (v *victim) counted() (db *repository.Database, table string) {
	v.t.Helper()
	all := v.m.Components[component.DataSmall].Databases
	for i := range all {
		most := int64(0)
		for name, rows := range all[i].Facts.Tables {
			if rows > most && !strings.HasPrefix(name, "sqlite_") {
				db, table, most = &all[i], name, rows
			}
		}
		if db != nil {
			return db, table
		}
	}
	v.t.Fatal("no rows are counted")
	return nil, ""
}

func makeDatabase(t testing.TB, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE notes (text); INSERT INTO notes VALUES ('one'), ('two'), ('three')"); err != nil {
		t.Fatal(err)
	}
}

// edited changes a database as a program would.
func (v *victim) edited(raw []byte, statement string) []byte {
	v.t.Helper()
	path := filepath.Join(v.base, "edited.db")
	write(v.t, path, raw)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer db.Close()
	for _, do := range []string{"PRAGMA journal_mode = DELETE", statement} {
		if _, err := db.Exec(do); err != nil {
			v.t.Fatalf("%s: %v", do, err)
		}
	}
	if err := db.Close(); err != nil {
		v.t.Fatal(err)
	}
	return read(v.t, path)
}
