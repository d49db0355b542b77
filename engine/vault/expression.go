package vault

import (
	"regexp"
	"strings"
)

// expression is a regular expression that is asked only where it could match: nearly every value is short and holds nothing of
// the kind, which is seen much sooner by looking for a few bytes.
type expression struct {
	*regexp.Regexp
	// needs stands in all that matches; so does white space, if blank is set.
	needs string
	blank bool
}

func compile(needs, expr string) expression {
	return expression{Regexp: regexp.MustCompile(expr), needs: needs}
}

func (p expression) possible(s string) bool {
	return strings.Contains(s, p.needs) && (!p.blank || strings.ContainsAny(s, " \t\n\f\r"))
}

// MatchString is the expression's.
func (p expression) MatchString(s string) bool {
	return p.possible(s) && p.Regexp.MatchString(s)
}

// FindStringSubmatchIndex is the expression's.
func (p expression) FindStringSubmatchIndex(s string) []int {
	if !p.possible(s) {
		return nil
	}
	return p.Regexp.FindStringSubmatchIndex(s)
}

// FindAllStringSubmatchIndex is the expression's.
func (p expression) FindAllStringSubmatchIndex(s string, n int) [][]int {
	if !p.possible(s) {
		return nil
	}
	return p.Regexp.FindAllStringSubmatchIndex(s, n)
}
