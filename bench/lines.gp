# One line for each system with the range of the rounds, both axes logarithmic. The caller sets:
# out, head, xname, yname, ticks (the format of y), xticks (a list for set xtics), least, most, series (a
# number), and for each i of them file_i and name_i. Columns of a file: x, value, lowest, highest. The first is weft.
set terminal svg size 900,520 font "sans-serif,15" background "#ffffff"
set output out
set datafile separator "\t"
set title head font ",18" textcolor "#1a1a1a"
set xlabel xname textcolor "#1a1a1a"
set ylabel yname textcolor "#1a1a1a"
set logscale xy 10
set format y ticks
set yrange [least:most]
set border 3 linecolor "#808080"
set tics nomirror textcolor "#1a1a1a"
eval "set xtics (".xticks.")"
set grid ytics linecolor "#dddddd"
set key outside right center Left reverse samplen 2 textcolor "#1a1a1a" spacing 1.4
set offsets graph 0.04, graph 0.04, 0, 0
if (series == 1) unset key
array colour[7] = ["#2273b9", "#303030", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56a0d3"]
array shape[7] = [7, 5, 9, 11, 13, 4, 6]
plot for [i=1:series] value(sprintf("file_%d", i)) using 1:2 with lines \
        linewidth (i == 1 ? 4 : 2) linecolor rgb colour[i] notitle, \
    for [i=1:series] value(sprintf("file_%d", i)) using 1:2:3:4 with yerrorbars \
        pointtype shape[i] pointsize (i == 1 ? 0.9 : 0.7) linewidth 1.5 linecolor rgb colour[i] \
        title value(sprintf("name_%d", i))
