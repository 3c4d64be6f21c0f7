Console.Error.WriteLine("kidogo");
return 2;
