package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// laterReport is how the script begins its report on phases that were done after a restore.
const laterReport = "Later part of "

// KeepReport writes what a whole restore came to into a file beside what was restored, where restore_maia.sh writes its
// own, and returns its path. text is what the person was told. The script's report on the phases that the restore had it
// do follows.
func (e *Engine) KeepReport(r *RestoreResult, text string) (string, error) {
	dir := r.Plan.besideDir
	path := filepath.Join(dir, "report.txt")
	fail := func(err error) (string, error) { return "", explain("write the report", path, err) }
	switch fi, err := os.Lstat(dir); {
	case errors.Is(err, os.ErrNotExist):
		if err := e.fs.MkdirAll(dir, 0o755); err != nil {
			return fail(err)
		}
	case err != nil:
		return fail(err)
	case !fi.IsDir(): // a link would lead out of the target
		return fail(errors.New("there is something else in the place of its folder"))
	}
	text = fmt.Sprintf("Restore of %s to %s, %s\n%s", r.Plan.BackupID, r.Plan.To, e.now().Local().Format("2 January 2006 15:04"), text)
	if r.Phases != nil {
		if later, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(later), laterReport) {
			text += "\n" + string(later)
		}
	}
	err := e.fs.WriteDurable(path, 0o600, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		return fail(err)
	}
	return path, nil
}
