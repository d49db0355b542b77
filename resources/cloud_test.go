package resources

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"maia-dr/packaging/ci/faults/matrix"
)

// evict moves the bytes of files of the repository to a folder that stands for the cloud, and leaves as many zeros: who
// reads them before they were fetched restores nonsense.
func (m *machine) evict(dir string, names ...string) {
	m.t.Helper()
	cloud := filepath.Join(filepath.Dir(m.home), "cloud")
	if err := os.MkdirAll(cloud, 0o755); err != nil {
		m.t.Fatal(err)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		fi, err := os.Stat(path)
		if err != nil {
			m.t.Fatal(err)
		}
		if err := os.Rename(path, filepath.Join(cloud, filepath.Base(name))); err != nil {
			m.t.Fatal(err)
		}
		write(m.t, path, make([]byte, fi.Size()))
	}
}

// wrapCloud makes cat fetch what is in the cloud. It never comes back where the cloud has a file NAME.stuck, and fails at once
// where it has NAME.fails.
func (m *machine) wrapCloud() {
	m.t.Helper()
	m.wrapBSD()
	cloud := filepath.Join(filepath.Dir(m.home), "cloud")
	m.env = append(m.env, "CLOUD="+cloud)
	m.wrap("cat", `if [ "$1" = -- ]; then
  at="$CLOUD/${2##*/}"
  if [ -e "$at.fails" ]; then exit 1; fi
  if [ -e "$at.stuck" ]; then trap '' TERM; while :; do sleep 1; done; fi
  if [ -e "$at" ]; then mv "$at" "$2"; fi
fi
exec REAL "$@"`)
}

// TestDataless: what is in the cloud only is listed with its size before anything is confirmed, and fetched first; a dry run
// fetches no chunk.
func TestDataless(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, nil)
	m := newMachine(t, "bsdtar", "perl")
	m.wrapCloud()
	bytes := int64(0)
	names := []string{b.id + "/restore.index.gz", b.id + "/backup_manifest.json"}
	for _, name := range b.names {
		fi, err := os.Stat(filepath.Join(b.dir, "chunks", name))
		if err != nil {
			t.Fatal(err)
		}
		bytes += fi.Size()
		names = append(names, "chunks/"+name)
	}
	m.evict(b.dir, names...)
	script, to := filepath.Join(b.dir, "restore_maia.sh"), newTarget(t)
	total := fmt.Sprintf("%.1f kB", float64(bytes)/1000)
	says := fmt.Sprintf("  first  %d files are in the cloud only: they are downloaded, %s\n", len(b.names), total)
	m.run(script, "--to", to, "--dry-run").want(t, 0, "OneDrive is asked for restore.index.gz ...", "OneDrive is asked for backup_manifest.json ...", says, "chunks/"+b.names[0])
	if left := glob(t, filepath.Join(filepath.Dir(m.home), "cloud/*.gz")); len(left) != len(b.names) {
		t.Errorf("a dry run fetched chunks: %d of %d are left", len(left), len(b.names))
	}
	m.run(script, "--to", to, "--yes").want(t, 0, says, fmt.Sprintf("Download 1 of %d: ", len(b.names)), " of "+total+" that are left (0 %)", "Downloaded "+total)
	checkTree(t, to, b.items)
	if r := m.run(script, "--to", to, "--yes"); r.code != 0 || strings.Contains(r.text, "Download") {
		t.Errorf("again: %s", r.text)
	}
}

// TestDatalessStuck: a file that does not come within its time is given up, whoever waits for it; the rest is restored. If none comes,
// nothing is written and it is said what to do.
func TestDatalessStuck(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "28")
	b := smallRepository(t, nil)
	m := newMachine(t, "bsdtar", "perl")
	m.wrapCloud()
	cloud := filepath.Join(filepath.Dir(m.home), "cloud")
	m.evict(b.dir, "chunks/"+b.names[0], "chunks/"+b.names[1], "chunks/"+b.names[2])
	write(t, filepath.Join(cloud, b.names[0]+".stuck"), nil)
	write(t, filepath.Join(cloud, b.names[1]+".fails"), nil)
	script, to := filepath.Join(b.dir, "restore_maia.sh"), newTarget(t)
	args := []string{"--to", to, "--yes", "--download-limit", "1"}
	m.run(script, args...).want(t, 1, "OneDrive does not deliver chunks/"+b.names[1], "signed in and not paused", "the same command again")
	if _, err := os.Lstat(to); err == nil {
		t.Error("the target was made")
	}
	if err := os.Remove(filepath.Join(cloud, b.names[1]+".fails")); err != nil {
		t.Fatal(err)
	}
	m.run(script, args...).want(t, 3, "chunks/"+b.names[0]+" does not come", "chunks/"+b.names[0]+" was not delivered by OneDrive", "could not be restored")
	if err := os.Remove(filepath.Join(cloud, b.names[0]+".stuck")); err != nil {
		t.Fatal(err)
	}
	m.run(script, args...).want(t, 0)
	checkTree(t, to, b.items)
	m.evict(b.dir, b.id+"/restore.index.gz")
	write(t, filepath.Join(cloud, "restore.index.gz.fails"), nil)
	m.run(script, args...).want(t, 1, "OneDrive does not deliver its restore.index.gz")
	m.run(script, "--to", to, "--download-limit", "never").want(t, 2, "is no number of seconds")
}
