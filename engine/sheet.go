package engine

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path/filepath"

	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

//go:embed sheet.html
var sheetText string

var sheetTemplate = template.Must(template.New("sheet").Parse(sheetText))

// RecoverySheet writes the page to print and keep with the vault password: where the repository is, how to restore,
// how to know the script. It returns the file's path.
func (e *Engine) RecoverySheet() (string, error) {
	folder, err := e.findOneDrive()
	if err != nil {
		return "", err
	}
	if err := e.state.Create(); err != nil {
		return "", explain("make the recovery sheet", e.state.Path, err)
	}
	sum := repository.SumHash(e.opt.Script)
	var page bytes.Buffer
	err = sheetTemplate.Execute(&page, map[string]string{
		"Date": e.now().Local().Format("2 January 2006"), "Version": e.opt.Version, "Host": e.env.Hostname,
		"Repository": filepath.Join(folder.Path, repository.DirName), "OneDrive": filepath.Base(folder.Path), "SHA256": sum.String(),
	})
	if err != nil {
		return "", fmt.Errorf("make the recovery sheet: %w", err)
	}
	path := e.state.SheetFile()
	err = e.fs.WriteDurable(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(page.Bytes())
		return err
	})
	if err != nil {
		return "", explain("make the recovery sheet", path, err)
	}
	return path, e.keep(func(k *state.Keepsakes) {
		k.Sheet = &state.Sheet{At: e.now().UTC(), Path: path, ScriptSHA256: sum}
	})
}
