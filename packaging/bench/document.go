package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// The lines between which the newest table stands; in docs/benchmarks.md, after the first one, the history.
const (
	beginMark = "<!-- bench:begin -->"
	endMark   = "<!-- bench:end -->"
)

// errNoMarks says that a document has no place for a table.
var errNoMarks = errors.New("it lacks the lines " + beginMark + " and " + endMark + ": put them where the table should stand")

// split cuts a document at the marks, which stay in what is before and after.
func split(document string) (before, between, after string, err error) {
	begin := strings.Index(document, beginMark+"\n")
	end := strings.Index(document, endMark)
	if begin < 0 || end < begin {
		return "", "", "", errNoMarks
	}
	begin += len(beginMark) + 1
	return document[:begin], document[begin:end], document[end:], nil
}

// replaceBetween puts text in the place of what is between the marks.
func replaceBetween(document, text string) (string, error) {
	before, _, after, err := split(document)
	if err != nil {
		return "", err
	}
	return before + "\n" + strings.TrimSpace(text) + "\n\n" + after, nil
}

// prependBetween puts text before what is between the marks: the newest is first.
func prependBetween(document, text string) (string, error) {
	before, between, after, err := split(document)
	if err != nil {
		return "", err
	}
	if between = strings.TrimSpace(between); between != "" {
		between += "\n\n"
	}
	return before + "\n" + strings.TrimSpace(text) + "\n\n" + between + after, nil
}

// rewrite changes a file.
func rewrite(path string, change func(string) (string, error)) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	text, err := change(string(old))
	if err != nil {
		return fmt.Errorf("update %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

// The documents that are updated.
const (
	readme  = "README.md"
	history = "docs/benchmarks.md"
)

// lacking says which documents cannot be updated, and why.
func lacking() (problems []error) {
	for _, path := range []string{readme, history} {
		b, err := os.ReadFile(path)
		if err == nil {
			_, _, _, err = split(string(b))
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("cannot update %s: %w", path, err))
		}
	}
	return problems
}

// update writes the table into README.md and adds the run to the history. Both are tried: what one lacks is no reason
// to leave the other as it is.
func update(r *report, change string) error {
	var table error
	if len(r.Results) > 0 {
		table = rewrite(readme, func(old string) (string, error) { return replaceBetween(old, r.short()) })
	}
	return errors.Join(table, rewrite(history, func(old string) (string, error) { return prependBetween(old, r.long(change)) }))
}
