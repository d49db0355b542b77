package onedrive

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Recording is what a Mac answers when it is asked about files, with everything of the user's taken out: to be sent to
// whoever maintains this program.
type Recording struct {
	Version int `json:"version"`
	// System says which macOS it is, Source what was asked.
	System string `json:"system"`
	Source string `json:"source"`
	Health Health `json:"health"`
	// Programs are those that belong to OneDrive and run now.
	Programs []string       `json:"programs"`
	Files    []RecordedFile `json:"files"`
	// Problem says why there is less than that.
	Problem string `json:"problem,omitempty"`
}

// RecordedFile is what is answered about one file.
type RecordedFile struct {
	// Name is its kind: names in the repository are the program's own.
	Name  string `json:"name"`
	Keys  Keys   `json:"keys"`
	Taken string `json:"taken_for"`
	// Evaluate is what fileproviderctl wrote about it, line by line: keys and numbers only.
	Evaluate      []string `json:"evaluate,omitempty"`
	EvaluateTaken string   `json:"evaluate_taken_for,omitempty"`
}

// maxRecorded is how many files are recorded; recordedEvaluate of how many of them with fileproviderctl.
const (
	maxRecorded      = 60
	recordedEvaluate = 5
)

// Record asks about files and writes down the answers as they come.
func (p *FileProvider) Record(ctx context.Context, paths []string) (*Recording, error) {
	r := &Recording{Version: 1, Source: p.Name(), Programs: []string{}, Files: []RecordedFile{}}
	paths = paths[:min(len(paths), maxRecorded)]
	if out, err := p.run(ctx, "/usr/bin/sw_vers"); err == nil {
		r.System = strings.Join(strings.Fields(string(out)), " ")
	}
	if out, err := p.run(ctx, "/bin/ps", "-xww", "-o", "comm="); err == nil {
		for line := range strings.Lines(string(out)) {
			if i := strings.Index(line, "/OneDrive.app/"); i >= 0 {
				r.Programs = append(r.Programs, strings.TrimSpace(line[i:]))
			}
		}
	}
	keys, err := p.Helper.keys(ctx, paths, keysLimit)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		r.Problem = err.Error()
		keys = make([]Keys, len(paths))
	}
	for i, path := range paths {
		a := keys[i].Answer()
		p.note(keys[i], a)
		f := RecordedFile{Name: recordedName(path), Keys: keys[i], Taken: a.Rung.String()}
		f.Keys.Problem = redactPath(f.Keys.Problem, path)
		if i < recordedEvaluate && askable(path) {
			limited, cancel := p.limited(ctx)
			out, err := p.run(limited, "/usr/bin/fileproviderctl", "evaluate", path)
			cancel()
			if err != nil {
				f.Evaluate = []string{"[" + redactPath(err.Error(), path) + "]"}
			} else {
				f.Evaluate = RedactEvaluate(string(out))
			}
			if fi := regular(path); err == nil && fi != nil {
				f.EvaluateTaken = parseEvaluate(out, fi.Size()).Rung.String()
			}
		}
		r.Files = append(r.Files, f)
	}
	r.Health = p.Health(ctx)
	return r, ctx.Err()
}

// recordedName is a file's name if it is one of this program's, with its folder's kind; the program chose it.
func recordedName(path string) string {
	return filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
}

func redactPath(text, path string) string {
	return strings.ReplaceAll(text, filepath.Dir(filepath.Dir(path)), "[folder]")
}

var (
	recordValue = regexp.MustCompile(`^([ \t]*[A-Za-z][A-Za-z0-9]{0,60}) = (.*);$`)
	plainValue  = regexp.MustCompile(`^(-?[0-9]{1,20}|\(null\)|<null>|"<null>")$`)
	shapeLine   = regexp.MustCompile(`^[ \t]*(Actions:|[{}()]|\};|\);)?[ \t]*$`)
)

// RedactEvaluate keeps the shape of what fileproviderctl wrote: keys, numbers, brackets, and how long everything else is.
func RedactEvaluate(out string) []string {
	lines := slices.Collect(strings.Lines(out))
	var kept []string
	for i, line := range lines {
		if i == 400 {
			kept = append(kept, fmt.Sprintf("[%d more lines]", len(lines)-i))
			break
		}
		line = strings.TrimRight(line, "\r\n")
		m := recordValue.FindStringSubmatch(line)
		switch {
		case m != nil && plainValue.MatchString(m[2]), shapeLine.MatchString(line):
			kept = append(kept, line)
		case m != nil:
			kept = append(kept, fmt.Sprintf("%s = [%d characters];", m[1], len(m[2])))
		default:
			kept = append(kept, fmt.Sprintf("[line of %d characters]", len(line)))
		}
	}
	return kept
}
