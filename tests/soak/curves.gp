# Four curves over time: memory and heap of each node at the quiet points, descriptors, messages a second. The
# caller sets: out, folder (NAME.tsv: seconds, resident MiB, heap KiB, descriptors; rate.tsv: seconds, rate), names.
set terminal svg size 900,1150 font "sans-serif,14" background "#ffffff"
set output out
set datafile separator "\t"
set multiplot layout 4,1
set border 3 linecolor "#808080"
set tics nomirror textcolor "#1a1a1a"
set grid ytics linecolor "#dddddd"
set key outside right center Left reverse samplen 2 textcolor "#1a1a1a"
set lmargin 10
set rmargin 14
array colour[10] = ["#2273b9", "#303030", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56a0d3", "#882255", "#999933", "#aa4499"]
set yrange [0:*]
set autoscale xfix
file(name) = folder."/".name.".tsv"
set title "Resident memory (PSS) at quiet points, MiB" textcolor "#1a1a1a"
plot for [i=1:words(names)] file(word(names, i)) using ($1/60):2 with lines linewidth 1.5 linecolor rgb colour[i] title word(names, i)
set title "Heap in small blocks at quiet points, KiB" textcolor "#1a1a1a"
plot for [i=2:words(names)] file(word(names, i)) using ($1/60):3 with lines linewidth 1.5 linecolor rgb colour[i] title word(names, i)
set title "Descriptors at quiet points" textcolor "#1a1a1a"
plot for [i=1:words(names)] file(word(names, i)) using ($1/60):4 with lines linewidth 1.5 linecolor rgb colour[i] title word(names, i)
set title "Messages received a second, all nodes together" textcolor "#1a1a1a"
set xlabel "minutes" textcolor "#1a1a1a"
set format y "%.0s%c"
unset key
plot file("rate") using ($1/60):2 with lines linewidth 1 linecolor rgb colour[1]
unset multiplot
