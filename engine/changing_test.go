package engine_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/packaging/ci/faults/matrix"
)

// restless changes files without a pause until it is stopped: each is rewritten in place or by rename, grows, shrinks,
// vanishes, and becomes a FIFO, a link or a folder.
type restless struct {
	dir  string
	rnd  *rand.Rand
	stop chan struct{}
	done chan map[string]int
}

const restlessFiles = 25

func startRestless(dir string) *restless {
	w := &restless{dir: dir, rnd: rand.New(rand.NewPCG(killSeed, 90)), stop: make(chan struct{}), done: make(chan map[string]int, 1)}
	go func() {
		count := map[string]int{}
		for n := 0; ; n++ {
			select {
			case <-w.stop:
				w.done <- count
				return
			default:
				count[w.change(n)]++
			}
			if n%8 == 0 {
				time.Sleep(200 * time.Microsecond)
			}
		}
	}()
	return w
}

// change makes one change. Errors are no matter: whatever is there by now is as good.
func (w *restless) change(n int) string {
	path := filepath.Join(w.dir, fmt.Sprintf("file-%02d.txt", w.rnd.IntN(restlessFiles)))
	body := []byte(strings.Repeat(fmt.Sprintf("version %d of a file\n", n), 10+w.rnd.IntN(4000)))
	clear := func() { os.RemoveAll(path) }
	switch w.rnd.IntN(12) {
	case 0:
		clear()
		return "removed"
	case 1:
		clear()
		_ = unix.Mkfifo(path, 0o600)
		return "FIFO"
	case 2:
		clear()
		_ = os.Symlink("../../CLAUDE.md", path)
		return "link"
	case 3:
		clear()
		_ = os.Mkdir(path, 0o700)
		_ = os.WriteFile(filepath.Join(path, "inside.txt"), body, 0o600)
		return "folder"
	case 4:
		_ = os.Truncate(path, int64(w.rnd.IntN(1000)))
		return "shrunk"
	case 5, 6:
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
		if err == nil {
			_, _ = f.Write(body)
			f.Close()
		}
		return "grown"
	case 7, 8:
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0o600)
		if err == nil {
			for i := 0; i < len(body); i += 4096 {
				_, _ = f.WriteAt(body[i:min(i+4096, len(body))], int64(i))
			}
			f.Close()
		}
		return "rewritten in place"
	default:
		_ = os.WriteFile(path+"~", body, 0o600)
		if os.Rename(path+"~", path) != nil {
			clear()
		}
		return "replaced"
	}
}

// hammer appends to one file, or changes its middle, faster than it can be read.
func (w *restless) hammer() {
	path := filepath.Join(w.dir, "hammered.txt")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	for size := 0; ; size++ {
		select {
		case <-w.stop:
			return
		case <-time.After(100 * time.Microsecond):
		}
		if size%1000 == 0 {
			_ = f.Truncate(3 << 20)
		}
		_, _ = f.WriteString("one line more\n")
	}
}

// TestFilesChanging: whatever becomes of files while they are read, the backup is made, says what it could not have
// and what it doubts, verifies, and comes back.
func TestFilesChanging(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "13")
	r := newRig(t)
	r.config.Retention = keepTwo
	r.clock = time.Now().Add(24 * time.Hour)
	dir := filepath.Join(r.fix.Root, "claude/restless")
	mkdir(t, dir)
	w := startRestless(dir)
	go w.hammer()
	warned := map[string]int{}
	for range 8 {
		faults.Inject()
		res, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true})
		if err != nil {
			t.Fatalf("seed %d: %v", killSeed, err)
		}
		r.clock = r.clock.Add(time.Hour)
		for _, x := range res.Warnings {
			warned[x.Code]++
			if !strings.HasPrefix(string(x.Path), "claude/restless/") || x.Hint == "" {
				t.Errorf("%+v", x)
			}
		}
		if c := res.Manifest.Coverage; c.Captured.Files+c.Secret.Files+len(c.LeftOut) == 0 || c.Total == 0 {
			t.Errorf("coverage: %+v", c)
		}
		restored, _ := r.restore(res.BackupID)
		remove(t, restored)
	}
	close(w.stop)
	t.Logf("changes: %v, warnings: %v", <-w.done, warned)
	if warned["changed_while_read"] == 0 || warned["file_left_out"] == 0 {
		t.Errorf("the files did not change while they were read: %v", warned)
	}
	r.verifyAll()
	remove(t, dir)
	r.backup() // says that the bytes have become fewer
	last := r.recovered(true)
	restored, _ := r.restore("latest")
	r.sameAsSource(restored, last.Manifest)
}
