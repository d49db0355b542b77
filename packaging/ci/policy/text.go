package policy

import (
	"fmt"
	"slices"
	"strings"
)

// CheckText finds places of build machines in any text file.
func CheckText(files Files, places []string) (violations []string) {
	for name, text := range files {
		number := 0
		for line := range strings.Lines(text) {
			number++
			for _, place := range places {
				if namesPlace(line, place) {
					violations = append(violations, fmt.Sprintf("%s:%d: names %s, a folder of a build machine", name, number, place))
				}
			}
		}
	}
	slices.Sort(violations)
	return violations
}

// namesPlace says whether the line has the place as an absolute path, not as
// the inner part of another one.
func namesPlace(line, place string) bool {
	for {
		i := strings.Index(line, place)
		if i < 0 {
			return false
		}
		if i == 0 || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.~)}*$/", rune(line[i-1])) {
			return true
		}
		line = line[i+len(place):]
	}
}

// requirement is a module that go.mod names.
type requirement struct {
	path   string
	direct bool
}

// requirements reads the require lines of a go.mod.
func requirements(gomod string) (reqs []requirement) {
	block := false
	for line := range strings.Lines(gomod) {
		line = strings.TrimSpace(line)
		switch {
		case line == ")":
			block = false
			continue
		case strings.HasPrefix(line, "require ("):
			block = true
			continue
		case strings.HasPrefix(line, "require "):
			line = strings.TrimPrefix(line, "require ")
		case !block:
			continue
		}
		statement, comment, _ := strings.Cut(line, "//")
		if fields := strings.Fields(statement); len(fields) == 2 {
			reqs = append(reqs, requirement{fields[0], strings.TrimSpace(comment) != "indirect"})
		}
	}
	return reqs
}

// CheckDependencies wants a line in the document for every direct requirement
// of go.mod, and a requirement for every module that a table row begins with.
func CheckDependencies(gomod, document string) (violations []string) {
	reqs := requirements(gomod)
	if len(reqs) == 0 {
		return []string{"go.mod: no requirements found"}
	}
	documented := make(map[string]bool)
	for line := range strings.Lines(document) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			module, _, _ := strings.Cut(rest, "`")
			documented[module] = true
		}
	}
	for _, r := range reqs {
		if r.direct && !documented[r.path] {
			violations = append(violations, fmt.Sprintf("docs/dependencies.md: no line for %s", r.path))
		}
		delete(documented, r.path)
	}
	for module := range documented {
		violations = append(violations, fmt.Sprintf("docs/dependencies.md: %s is not in go.mod", module))
	}
	slices.Sort(violations)
	return violations
}
