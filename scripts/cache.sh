# Sourced. Sets `cache`, the folder of downloads and built tools. All clones share it.
case "$(uname -s)" in
  Darwin) cache="$HOME/Library/Caches/deputy" ;;
  *) cache="${XDG_CACHE_HOME:-$HOME/.cache}/deputy" ;;
esac
