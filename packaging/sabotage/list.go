package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// mutation is one way to break the program.
type mutation struct {
	what string // what is broken, for people
	file string // relative to the module, with slashes
	// old stands in the file exactly once; new is put in its place. They are short, so that work on the lines beside them does
	// not put the list out of date.
	old, new string
	// pkg is the package whose tests have to notice, relative to the module; run the tests, as for go test -run.
	pkg, run string
	// full has the tests try every place instead of a sample, which may not hold the one that notices.
	full bool
	// hang says that the broken program may not come to an end: then a test that is ended for it has found it.
	hang bool
}

// apply returns the file's text with the mutation in it. An error is one of the list, which is out of date then.
func (m *mutation) apply(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return "", fmt.Errorf("read what is to be broken: %w", err)
	}
	text := string(b)
	if n := strings.Count(text, m.old); n != 1 || m.old == m.new {
		return "", fmt.Errorf("%s: %q stands in it %d times, want once, and something else in its place", m.file, m.old, n)
	}
	return strings.Replace(text, m.old, m.new, 1), nil
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// check finds what is wrong with an entry of the list without building anything.
func (m *mutation) check(root string) error {
	text, err := m.apply(root)
	if err != nil {
		return err
	}
	if path.Ext(m.file) == ".go" {
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, text, parser.SkipObjectResolution); err != nil {
			return fmt.Errorf("broken, it is no Go any more: %w", err)
		}
	}
	first, _, _ := strings.Cut(m.run, "/")
	pattern, err := regexp.Compile(first)
	if err != nil {
		return fmt.Errorf("the tests of %s: %w", m.pkg, err)
	}
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(m.pkg), "*_test.go"))
	if err != nil {
		return err
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, f := range testFunc.FindAllStringSubmatch(string(b), -1) {
			if pattern.MatchString(f[1]) {
				return nil
			}
		}
	}
	return fmt.Errorf("%s has no test %s", m.pkg, m.run)
}

// checkAll is check for a whole list, in which every entry says something else.
func checkAll(root string, list []mutation) (problems []error) {
	seen := map[string]bool{}
	for i := range list {
		m := &list[i]
		if seen[m.what] {
			problems = append(problems, fmt.Errorf("%q is in the list twice", m.what))
		}
		seen[m.what] = true
		if err := m.check(root); err != nil {
			problems = append(problems, fmt.Errorf("%q: %w", m.what, err))
		}
	}
	return problems
}

// all is the list, what costs most first.
func all() []mutation {
	var list []mutation
	for _, part := range [][]mutation{disk, backups, secrets, restores, evidence, script} {
		list = append(list, part...)
	}
	return list
}
