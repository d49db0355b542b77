package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/packaging/ci/faults/matrix"
)

// A download that fails says in which way, and is killed if it hangs. The restore leaves nothing half-done.
func TestDownloadFails(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "28")
	r := newRig(t)
	r.backup()
	reply := func(errno string) string {
		return `cat > /dev/null; echo '{"path":0,"done":true,"error":"refused","errno":` + errno + `}'`
	}
	for name, tc := range map[string]struct{ script, say, hint string }{
		"hangs":          {"exec sleep 1000", "nothing came for too long", "not paused"},
		"hangs late":     {`echo '{"path":0,"bytes":1}'; exec sleep 1000`, "nothing came for too long", "not paused"},
		"not allowed":    {reply("11"), "", ""}, // EDEADLK has another number on each system
		"privacy":        {reply("1"), "privacy protection", "System Settings"},
		"mode":           {reply("13"), "mode does not allow", "readable"},
		"vanished":       {reply("2"), "vanished", "has synced"},
		"no space":       {reply("28"), "no space", "free some space"},
		"something else": {reply("5"), "input/output error", "not paused"},
		"crashes":        {"kill -SEGV $$", "signal", "not paused"},
		"says nothing":   {"exit 0", "ended too early", "not paused"},
		"talks":          {"echo hello", "invalid character", "not paused"},
		"no helper":      {"", "no helper", "installed maia-dr"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := r.mac()
			m.State = filepath.Join(t.TempDir(), "new") // a new Mac: no mirror
			e := m.engineWith(func(o *engine.Options) {
				o.Evicted = func(path string) bool { return strings.HasPrefix(path, filepath.Join(r.repo(), "chunks")) }
				o.DownloadStall = 300 * time.Millisecond
				if !strings.HasPrefix(tc.script, "exec sleep") && !strings.Contains(tc.script, "sleep") {
					o.DownloadStall = time.Hour
				}
				if tc.script != "" {
					o.Helper = onedrive.Helper{Path: "/bin/sh", Args: []string{"sh", "-c", tc.script}}
				}
			}, r.now())
			to := filepath.Join(t.TempDir(), "to")
			res, err := e.Restore(t.Context(), engine.RestoreOptions{To: to, Paths: []string{"CLAUDE.md"}})
			if err != nil || len(res.Failed) != 1 || !strings.Contains(res.Failed[0], tc.say) {
				t.Errorf("%+v %v", res, err)
			}
			if _, err := os.Stat(filepath.Join(to, "CLAUDE.md")); err == nil {
				t.Error("a file was restored that could not be read")
			}
			_, err = e.Verify(t.Context(), engine.VerifyOptions{Download: true})
			if err != nil {
				t.Error(err)
			}
			read := onedrive.Helper{Path: "/bin/sh", Args: []string{"sh", "-c", tc.script}}
			if tc.script == "" {
				read = onedrive.Helper{}
			}
			stall := time.Hour
			if strings.Contains(tc.script, "sleep") {
				stall = 300 * time.Millisecond
			}
			var why *onedrive.ReadError
			if err := read.Download(t.Context(), []string{"/x"}, stall, func(int64) {}); !errors.As(err, &why) || why.Hint == "" || !strings.Contains(why.Hint, tc.hint) {
				t.Errorf("%v %+v", err, why)
			}
		})
	}
}
