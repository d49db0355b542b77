// Package policy holds the module to rules that no compiler checks: who may
// import whom, where the clock is asked, where files are written, what every
// package and document must say, and where its links lead. The rules are tables with a reason in each
// line (rules.go); the functions here find violations in a module given as
// file contents and the answers of go list, so that each rule is itself tested
// on a module that breaks it. The package's own test applies them to the
// repository it lies in.
package policy
