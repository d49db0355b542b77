package engine_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// pick returns a random file below a folder, or "".
func (w *world) pick(dir string) string {
	var all []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error { // what cannot be walked has no files to pick
		if err == nil && d.Type().IsRegular() {
			all = append(all, path)
		}
		return nil
	})
	if len(all) == 0 {
		return ""
	}
	return all[w.rnd.IntN(len(all))]
}

func (w *world) body() []byte {
	size := w.rnd.IntN(4000)
	if w.rnd.IntN(10) == 0 {
		size = w.rnd.IntN(300_000)
	}
	line := fmt.Sprintf("line %d of file %d\n", w.rnd.Int(), w.files)
	body := []byte(strings.Repeat(line, 1+size/len(line)))
	if w.rnd.IntN(4) == 0 {
		for i := range body {
			body[i] = byte(w.rnd.Int())
		}
	}
	return body[:size]
}

// fresh is a name that nothing had yet.
func (w *world) fresh(format string) string {
	w.files++
	return fmt.Sprintf(format, w.files)
}

func (w *world) writeFile() string {
	w.files++
	dir := []string{"claude/agents", "claude/tools", "claude/data", "claude/tools/deep/er"}[w.rnd.IntN(4)]
	path := filepath.Join(w.fix.Root, dir, fmt.Sprintf("file-%d%s", w.files, []string{".md", ".py", ".json", " with space.txt"}[w.rnd.IntN(4)]))
	mkdirAll(w.t, filepath.Dir(path))
	write(w.t, path, w.body())
	return path
}

// edit changes the source as people and programs do.
func (w *world) edit() string {
	t := w.t
	path := w.pick(w.fix.Root)
	if path == "" || strings.HasSuffix(path, ".db") || strings.HasSuffix(path, "CLAUDE.md") {
		return "new " + filepath.Base(w.writeFile())
	}
	name := filepath.Base(path)
	switch w.rnd.IntN(10) {
	case 0, 1:
		return "new " + filepath.Base(w.writeFile())
	case 2:
		remove(t, path)
		return "remove " + name
	case 3:
		if err := os.Rename(path, filepath.Join(w.fix.Root, "claude", w.fresh("moved-%d.md"))); err != nil {
			t.Fatal(err)
		}
		return "rename " + name
	case 4:
		if err := os.Chmod(path, []fs.FileMode{0o600, 0o755, 0o400, 0o644}[w.rnd.IntN(4)]); err != nil {
			t.Fatal(err)
		}
		return "mode of " + name
	case 5:
		link := filepath.Join(w.fix.Root, "claude", w.fresh("link-%d"))
		if err := os.Symlink(name, link); err != nil {
			t.Fatal(err)
		}
		return "link to " + name
	case 6: // the same size, and the time it had
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		body := read(t, path)
		for i := range body {
			body[i] ^= 1
		}
		_ = os.Chmod(path, 0o600) // whatever it was
		write(t, path, body)
		if err := os.Chtimes(path, fi.ModTime(), fi.ModTime()); err != nil {
			t.Fatal(err)
		}
		return "silently change " + name
	default:
		_ = os.Chmod(path, 0o600) // whatever it was
		write(t, path, w.body())
		return "edit " + name
	}
}

func (w *world) editDatabase() string {
	name := []string{"small.db", "other.db", "large.db", "large.db"}[w.rnd.IntN(4)]
	if !exists(filepath.Join(w.fix.Root, "claude/data", name)) {
		w.sql(name, "CREATE TABLE a (id INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO a VALUES (1, 'again')")
		return "make " + name
	}
	switch w.rnd.IntN(8) {
	case 0:
		w.sql(name, "DELETE FROM a WHERE id % 3 = 1", "VACUUM")
		return "vacuum " + name
	case 1:
		remove(w.t, filepath.Join(w.fix.Root, "claude/data", name))
		return "remove " + name
	case 2:
		w.sql(name, "PRAGMA journal_mode = "+[]string{"WAL", "DELETE"}[w.rnd.IntN(2)])
		return "journal mode of " + name
	default:
		w.sql(name, fmt.Sprintf("UPDATE a SET body = body || 'x%d' WHERE id %% %d = 0", len(w.log), 5+w.rnd.IntN(40)),
			fmt.Sprintf("INSERT INTO a (body) SELECT hex(randomblob(%d)) FROM a LIMIT 20", w.rnd.IntN(500)))
		return "rows of " + name
	}
}

func (w *world) back() string {
	return w.normal().BackupID
}

// failing makes one call of a backup fail, once or from then on.
func (w *world) failing() string {
	x := &injector{op: allOps[w.rnd.IntN(len(allOps))], n: 1 + w.rnd.IntN(40), forever: w.rnd.IntN(3) == 0, err: failures[w.rnd.IntN(len(failures))].err}
	if x.op == fsx.OpRename && w.rnd.IntN(3) == 0 {
		x.err = unix.EXDEV
	}
	err := w.watched(func() error {
		return w.inject(x, func() error {
			_, err := w.engine().Backup(w.t.Context(), engine.BackupOptions{NoVault: true})
			return err
		})
	})
	if code := engine.CodeOf(err); err != nil && (code == "" || code == engine.CodeSecretLeak) {
		w.t.Errorf("%s: %v", x, err)
	}
	return fmt.Sprintf("%s: %v", x, err)
}

// killed has a child make a backup and die at one of its calls.
func (w *world) killed() string {
	at := int64(1 + w.rnd.IntN(w.calls+w.calls/8))
	var a answer
	var lived bool
	var last string
	_ = w.watched(func() error { // the error is the answer's
		a, lived, last = run(w.t, orders{Mac: w.mac(), Verb: "backup", KillAt: at})
		return nil
	})
	if lived && len(a.Calls) > 50 {
		w.calls = len(a.Calls)
	}
	return fmt.Sprintf("at call %d: %s, lived %v %s %s", at, last, lived, a.Code, a.Error)
}

func (w *world) killedPrune() string {
	at := int64(1 + w.rnd.IntN(60))
	var last string
	_ = w.watched(func() error { // there is nobody to have an error
		_, _, last = run(w.t, orders{Mac: w.mac(), Verb: "prune", KillAt: at})
		return nil
	})
	return fmt.Sprintf("at call %d: %s", at, last)
}

func (w *world) pruneNow() string {
	var res *engine.PruneResult
	err := w.watched(func() (err error) {
		res, err = w.prune()
		return err
	})
	if err != nil && engine.CodeOf(err) == engine.CodeFailed {
		w.t.Errorf("prune: %v", err)
	}
	return fmt.Sprintf("%+v, %v", res, err)
}

// spoil damages something, in OneDrive, in the mirror or in the state directory.
func (w *world) spoil() string {
	place, dir := w.rnd.IntN(4), w.repo()
	switch place {
	case 2:
		dir = w.mirror()
	case 3:
		dir = w.state
	}
	path := w.pick(dir)
	if path == "" {
		return "nothing there"
	}
	body := read(w.t, path)
	if strings.HasPrefix(path, w.repo()) {
		if _, ok := w.bin[path]; !ok {
			w.bin[path] = body
		}
	}
	how := ""
	switch n := w.rnd.IntN(7); {
	case n == 0 || len(body) == 0:
		how = "remove"
		remove(w.t, path)
	case n == 1:
		how = "empty"
		write(w.t, path, nil)
	case n == 2:
		how = "cut off"
		write(w.t, path, body[:w.rnd.IntN(len(body))])
	case n == 3:
		how = "longer"
		write(w.t, path, append(body, 0))
	case n == 4:
		how = "another's"
		write(w.t, path, read(w.t, w.pick(dir)))
	default:
		how = "flip"
		body = slices.Clone(body)
		body[w.rnd.IntN(len(body))] ^= 1 << w.rnd.IntN(8)
		write(w.t, path, body)
	}
	return how + " " + strings.TrimPrefix(path, w.base)
}

func (w *world) restoreAny() string {
	var ids []string
	for id := range w.trees {
		if exists(filepath.Join(w.repo(), id, repository.ManifestName)) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) == 0 {
		return "none there"
	}
	id := ids[w.rnd.IntN(len(ids))]
	return id + " " + w.restoreOne(id)
}

func (w *world) turnClock() string {
	by := time.Duration(1+w.rnd.IntN(40*24)) * time.Hour
	switch w.rnd.IntN(4) {
	case 0:
		by = -by / 8
	case 1:
		by = time.Duration(w.rnd.IntN(3600)) * time.Second
	}
	w.clock = w.clock.Add(by)
	return by.String()
}

func (w *world) verify() string {
	var res *engine.VerifyResult
	err := w.watched(func() (err error) {
		res, err = w.engine().Verify(w.t.Context(), engine.VerifyOptions{All: true})
		return err
	})
	if err != nil {
		return err.Error()
	}
	shelf := w.shelf()
	for _, b := range res.Backups {
		if !res.OK() {
			break
		}
		if _, ok := w.wholeOnes(shelf)[b.BackupID]; !ok && !b.LocalOnly {
			w.t.Errorf("all is said to be well, and %s is not whole", b.BackupID)
		}
	}
	return fmt.Sprintf("ok %v, bad %d, repaired %d", res.OK(), len(res.BadChunks), len(res.Repaired))
}

func (w *world) drill() string {
	var res *engine.DrillResult
	err := w.watched(func() (err error) {
		res, err = w.engine().Drill(w.t.Context(), engine.DrillOptions{})
		return err
	})
	if err != nil {
		return err.Error()
	}
	if _, ok := w.wholeOnes(w.shelf())[res.BackupID]; res.Passed && !ok {
		w.t.Errorf("a drill of %s passed, and it is not whole", res.BackupID)
	}
	return fmt.Sprintf("%s passed %v: %q", res.BackupID, res.Passed, res.Problems)
}

// spoiledTop tells whether one of the repository's own files in OneDrive has another content than it had.
func (w *world) spoiledTop() bool {
	for path, was := range w.bin {
		is, err := os.ReadFile(path)
		if filepath.Dir(path) == w.repo() && (err != nil || !bytes.Equal(is, was)) {
			return true
		}
	}
	return false
}

// export writes a backup elsewhere; what is restored from there is what is restored from here.
func (w *world) export() string {
	whole := newestFirst(w.wholeOnes(w.shelf()))
	if len(whole) == 0 {
		return "none is whole"
	}
	id := whole[w.rnd.IntN(len(whole))]
	dir := filepath.Join(w.base, "exported")
	err := w.watched(func() error {
		_, err := w.engine().Export(w.t.Context(), engine.ExportOptions{Backup: id, Dir: dir})
		return err
	})
	switch {
	case err != nil && !w.spoiledTop(): // an export has to have them
		w.t.Errorf("export %s, which is whole: %v", id, err)
	case err == nil:
		m := w.mac()
		m.OneDrive, m.State = dir, filepath.Join(w.base, "state-of-nobody")
		w.restoreFrom(m.engine(w.now(), nil, nil), id, true)
		remove(w.t, m.State)
	}
	remove(w.t, dir)
	return id
}

// adopt has another machine take over; the former one is refused from then on.
func (w *world) adopt() string {
	old := w.mac()
	w.machines++
	w.hardware, w.state = fmt.Sprint("machine-", w.machines+1), filepath.Join(w.base, fmt.Sprint("state-", w.machines+1))
	w.rolledBack = ""
	w.forgetLocal()
	res := w.normal()
	if exists(filepath.Join(old.State, "identity.json")) {
		_ = w.watched(func() error { // which error is looked at here
			_, err := old.engine(w.now(), nil, nil).Backup(w.t.Context(), engine.BackupOptions{NoVault: true})
			if err == nil {
				w.t.Error("the former writer was not refused")
			}
			return nil
		})
		remove(w.t, old.State)
	}
	return w.hardware + " " + res.BackupID
}

// forgetLocal forgets what only a state directory knew that is gone: its ids may be given again.
func (w *world) forgetLocal() {
	for id := range w.trees {
		if !exists(filepath.Join(w.repo(), id)) && !slices.Contains(w.committed(), id) {
			delete(w.trees, id)
			delete(w.first, id)
		}
	}
}

// olderState keeps a copy of the state directory, or goes back to the one that was kept.
func (w *world) olderState() string {
	kept := filepath.Join(w.base, "older-state")
	if w.rolledBack == "" {
		if !exists(w.state) {
			return "there is none"
		}
		remove(w.t, kept)
		copyTree(w.t, w.state, kept)
		w.rolledBack = kept
		return "kept"
	}
	remove(w.t, w.state)
	copyTree(w.t, kept, w.state)
	w.forgetLocal()
	w.rolledBack = ""
	return "back to the one that was kept"
}

// look is what only reads.
func (w *world) look() string {
	before := w.scene()
	l, err := w.engine().List()
	_, serr := w.engine().Status()
	after := w.scene()
	if len(before.shelf) != len(after.shelf) || serr != nil {
		w.t.Errorf("looking changed something, or failed: %v", serr)
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(len(l.Backups), " backups")
}
