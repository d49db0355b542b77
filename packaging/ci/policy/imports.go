package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// Package is what go list says of a package, for one system.
type Package struct {
	ImportPath string
	Standard   bool
	Imports    []string // direct ones, tests aside; "C" is cgo
	Deps       []string // all that it reaches
}

// List asks go list for the packages of the module in dir as built for goos
// with cgo. Packages that do not compile are listed as far as they go.
func List(dir, goos string) ([]Package, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Standard,Imports,Deps", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run go list: %w", err)
	}
	var packages []Package
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p Package
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		packages = append(packages, p)
	}
}

// rule is a line of ImportRules.
type rule struct {
	who    patterns
	verb   string
	what   patterns
	reason string
}

var verbs = []string{"never imports", "never reaches", "only imports"}

func parseRules(text string) ([]rule, error) {
	var rules []rule
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		statement, reason, ok := strings.Cut(line, " : ")
		if !ok || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("parse rule %q: no reason", line)
		}
		r := rule{reason: strings.TrimSpace(reason)}
		for _, verb := range verbs {
			if who, what, ok := strings.Cut(statement, " "+verb+" "); ok {
				r.who, r.verb, r.what = strings.Fields(who), verb, strings.Fields(what)
			}
		}
		if len(r.who) == 0 || len(r.what) == 0 {
			return nil, fmt.Errorf("parse rule %q: want PACKAGES VERB PACKAGES", line)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// patterns match import paths; see ImportRules.
type patterns []string

// match says whether the pattern list names the package. name is relative to
// the module ("." for its root) or, outside of it, the import path.
func (ps patterns) match(name string, kind kind) bool {
	found := false
	for _, p := range ps {
		exclude := strings.HasPrefix(p, "-")
		if matchOne(strings.TrimPrefix(p, "-"), name, kind) {
			if exclude {
				return false
			}
			found = true
		}
	}
	return found
}

type kind int

const (
	inModule kind = iota
	inStd
	elsewhere
)

func matchOne(p, name string, k kind) bool {
	switch p {
	case "...":
		return k == inModule
	case "std":
		return k == inStd
	case ".":
		return k == inModule && name == "."
	}
	if folder, ok := strings.CutSuffix(p, "/..."); ok {
		return name == folder || strings.HasPrefix(name, folder+"/")
	}
	ok, err := path.Match(p, name)
	return ok && err == nil
}

// CheckImports finds what breaks the rules in the packages of a module. The
// error is about the text of the rules.
func CheckImports(text, module string, packages []Package) (violations []string, err error) {
	rules, err := parseRules(text)
	if err != nil {
		return nil, err
	}
	place := func(importPath string) (string, kind) {
		switch first, _, _ := strings.Cut(importPath, "/"); {
		case importPath == module:
			return ".", inModule
		case strings.HasPrefix(importPath, module+"/"):
			return strings.TrimPrefix(importPath, module+"/"), inModule
		case importPath == "C" || strings.Contains(first, "."):
			return importPath, elsewhere
		default:
			return importPath, inStd
		}
	}
	for _, p := range packages {
		name, k := place(p.ImportPath)
		for _, r := range rules {
			if !r.who.match(name, k) {
				continue
			}
			imports := p.Imports
			if r.verb == "never reaches" {
				imports = slices.Concat(p.Imports, p.Deps)
				slices.Sort(imports)
				imports = slices.Compact(imports)
			}
			for _, i := range imports {
				target, targetKind := place(i)
				if r.what.match(target, targetKind) == (r.verb != "only imports") {
					violations = append(violations, fmt.Sprintf("%s %s %s, but %s: %s",
						name, strings.TrimPrefix(strings.TrimPrefix(r.verb, "never "), "only "), target, r.verb+" "+strings.Join(r.what, " "), r.reason))
				}
			}
		}
	}
	return violations, nil
}
