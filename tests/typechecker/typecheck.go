// Writes what Go's own type checker computes for package runtime and all that it imports, for one port, from the
// files of the Go that runs it, without cgo: constants by package, and size, alignment and fields of structs by
// the gc compiler's rules. One JSON object, in the form of tests/data/facts.
//
//	go run typecheck.go GO GOOS GOARCH
//
// GO is the go command whose release is asked about; the one that compiles this should be new, for old
// ones do not round up the sizes of structs.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

type listed struct {
	Dir, ImportPath string
	GoFiles         []string
	ImportMap       map[string]string
}

type field struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
}

type layout struct {
	Size   int64   `json:"size"`
	Align  int64   `json:"align"`
	Fields []field `json:"fields"`
}

// checked finds the packages that a package imports among those that were checked before it.
type checked struct {
	packages map[string]*types.Package
	renamed  map[string]string
}

func (c checked) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if other, ok := c.renamed[path]; ok {
		path = other
	}
	if found := c.packages[path]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("%s was not listed before", path)
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: typecheck GO GOOS GOARCH")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(to io.Writer, command, goos, goarch string) error {
	list := exec.Command(command, "list", "-deps", "-json=Dir,ImportPath,GoFiles,ImportMap", "runtime")
	list.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	list.Stderr = os.Stderr
	packages, err := list.Output()
	if err != nil {
		return err
	}
	sizes := types.SizesFor("gc", goarch)
	if sizes == nil {
		return fmt.Errorf("this Go does not know the sizes of %s", goarch)
	}
	known := map[string]*types.Package{}
	found := map[string]map[string]any{}
	structs := map[string]layout{}
	decoder := json.NewDecoder(strings.NewReader(string(packages)))
	for {
		var one listed
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if one.ImportPath == "unsafe" {
			continue
		}
		checkedPackage, err := check(one, known, sizes)
		if err != nil {
			return err
		}
		known[one.ImportPath] = checkedPackage
		found[one.ImportPath] = constants(checkedPackage.Scope())
		if one.ImportPath == "runtime" {
			structs = layouts(checkedPackage.Scope(), sizes)
		}
	}
	return json.NewEncoder(to).Encode(map[string]any{
		"platform": goos + "/" + goarch, "constants": found, "structs": structs,
	})
}

func check(one listed, known map[string]*types.Package, sizes types.Sizes) (*types.Package, error) {
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range one.GoFiles {
		file, err := parser.ParseFile(files, filepath.Join(one.Dir, name), nil, 0)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, file)
	}
	path := one.ImportPath
	if path == "runtime/internal/atomic" {
		// The compiler aligns this package's 64-bit types; go/types knows it by the name that it has had since 1.23.
		path = "internal/runtime/atomic"
	}
	config := types.Config{Importer: checked{known, one.ImportMap}, Sizes: sizes, IgnoreFuncBodies: true}
	return config.Check(path, files, parsed, nil)
}

func constants(scope *types.Scope) map[string]any {
	found := map[string]any{}
	for _, name := range scope.Names() {
		if one, ok := scope.Lookup(name).(*types.Const); ok {
			switch value := one.Val(); value.Kind() {
			case constant.Bool:
				found[name] = constant.BoolVal(value)
			case constant.String:
				found[name] = constant.StringVal(value)
			default:
				if whole := constant.ToInt(value); whole.Kind() == constant.Int {
					found[name] = json.Number(whole.ExactString())
				}
			}
		}
	}
	return found
}

func layouts(scope *types.Scope, sizes types.Sizes) map[string]layout {
	found := map[string]layout{}
	for _, name := range scope.Names() {
		one, ok := scope.Lookup(name).(*types.TypeName)
		if !ok {
			continue
		}
		if named, ok := one.Type().(*types.Named); ok && named.TypeParams().Len() > 0 {
			continue
		}
		own, ok := one.Type().Underlying().(*types.Struct)
		if !ok {
			continue
		}
		var members []*types.Var
		for i := range own.NumFields() {
			members = append(members, own.Field(i))
		}
		shown := layout{Size: sizes.Sizeof(one.Type()), Align: sizes.Alignof(one.Type()), Fields: []field{}}
		for i, offset := range sizes.Offsetsof(members) {
			shown.Fields = append(shown.Fields, field{members[i].Name(), offset, sizes.Sizeof(members[i].Type())})
		}
		found[name] = shown
	}
	return found
}
